// The files for deploying say what they should: checked without a Docker engine.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import Ajv from 'ajv';
import { parse } from 'yaml';

const root = new URL('../', import.meta.url);
const read = path => readFileSync(new URL(path, root), 'utf8');
const compose = parse(read('docker-compose.yml'), { merge: true });

/** Instructions of the Dockerfile, continuation lines joined: ["COPY", "a b"], ... */
const instructions = read('Dockerfile')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter(line => line.trim() && !line.startsWith('#'))
  .map(line => line.trim().match(/^(\S+)\s+(.*)$/).slice(1));
const values = name => instructions.filter(([word]) => word === name).map(([, value]) => value);

test('docker-compose.yml follows the Compose Specification', () => {
  const schema = JSON.parse(read('e2e/schema/compose-spec.json'));
  // "https" is how the schema writes the draft's id; formats such as "duration" are not checked.
  schema.$schema = 'http://json-schema.org/draft-07/schema#';
  const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  assert.ok(validate(compose), JSON.stringify(validate.errors, null, 1));
});

test('every published port is bound to loopback', () => {
  const ports = Object.values(compose.services).flatMap(service => service.ports);
  assert.ok(ports.length > 0);
  for (const port of ports) assert.match(port, /^127\.0\.0\.1:/);
});

/** The named volume that a service mounts at a folder of the container. */
const volume = (service, folder) =>
  service.volumes.map(entry => entry.split(':')).find(([, target]) => target === `/chandler/${folder}`)?.[0];

test('what is written outlives the container, and nothing else can be written', () => {
  const folders = JSON.parse(values('VOLUME')[0]).map(folder => folder.replace('/chandler/', ''));
  assert.deepEqual(folders, ['models', 'data', 'runs', 'cache', 'saves']);
  for (const [name, service] of Object.entries(compose.services)) {
    for (const folder of folders) assert.ok(volume(service, folder) in compose.volumes, `${name} keeps ${folder}`);
    assert.ok(service.read_only);
  }
  assert.match(values('ENV').join(' '), / XDG_CACHE_HOME=\/chandler\/cache /, 'hubs and encoded data have a place');
});

/** Names of variables in string constants of the sources in a folder. */
function variables(folder) {
  const names = readdirSync(new URL(folder, root), { recursive: true })
    .filter(file => file.endsWith('.rs') && !file.includes('tests'))
    .flatMap(file => read(`${folder}/${file}`).match(/"(CHANDLER|HF|HUGGING_FACE|MODELSCOPE|TRANSFORMERS|USE_MODELSCOPE|RAYON)_[A-Z_]+"/g) ?? []);
  return [...new Set(names.map(name => name.slice(1, -1)))].filter(name => !name.endsWith('_'));
}

test('what can be set reaches the container, and .env.example names it', () => {
  // The image says where things lie in it and what it listens on; the build fills these in.
  const fixed = /^CHANDLER_(HOST|PORT|(MODELS|DATA|RUNS)_DIR|CACHE|COMMIT|RUSTC|TARGET)$|^(HF|MODELSCOPE)_(HOME|CACHE|HUB_CACHE|TOKEN_PATH)$/;
  const known = ['server/src', 'engine/src'].flatMap(variables).filter(name => !fixed.test(name));
  assert.ok(known.includes('CHANDLER_PUBLIC_URL') && known.includes('HF_TOKEN') && known.length > 12, known.join());
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'];
  const named = [...read('.env.example').matchAll(/^#(\w+)=/gm)].map(([, name]) => name);
  for (const name of [...known, ...proxies, ...proxies.map(name => name.toLowerCase())]) {
    for (const service of Object.values(compose.services)) assert.ok(service.environment.includes(name), name);
    assert.ok(named.includes(name), `.env.example names ${name}`);
  }
  const published = [...read('docker-compose.yml').matchAll(/\$\{(\w+)/g)].map(([, name]) => name);
  for (const name of published) assert.ok(named.includes(name), `.env.example names ${name}`);
});

test('runs stop with a checkpoint before the container ends', () => {
  assert.match(values('ENV').join(' '), / CHANDLER_STOP_RUNS_ON_EXIT=true/);
  for (const service of Object.values(compose.services)) assert.ok(parseInt(service.stop_grace_period) >= 30);
});

test('services that run side by side share no port and no runs', () => {
  const services = Object.values(compose.services);
  for (const of of [service => service.ports[0], service => volume(service, 'runs'), service => service.image]) {
    assert.equal(new Set(services.map(of)).size, services.length);
  }
});

test('the board starts by default, the one for graphics cards on request', () => {
  const byDefault = Object.entries(compose.services).filter(([, service]) => !service.profiles);
  assert.deepEqual(byDefault.map(([name]) => name), ['board']);
  const gpu = compose.services.gpu;
  assert.deepEqual(gpu.profiles, ['gpu']);
  const [device] = gpu.deploy.resources.reservations.devices;
  assert.equal(device.driver, 'nvidia');
  assert.ok(device.capabilities.includes('gpu') && device.count > 0);
});

test('every service is built from stages for its device', () => {
  const parents = values('FROM').filter(value => value.includes('${DEVICE}')).map(value => value.split(' ')[0]);
  assert.deepEqual(parents, ['toolchain-${DEVICE}', 'system-${DEVICE}']);
  const stages = values('FROM').map(value => value.match(/ AS (\S+)$/)?.[1]);
  const byDefault = values('ARG').find(value => value.startsWith('DEVICE=')).slice('DEVICE='.length);
  const devices = Object.values(compose.services).map(service => service.build.args?.DEVICE ?? byDefault);
  assert.deepEqual(devices, ['cpu', 'cuda']);
  for (const device of devices) {
    for (const parent of parents) {
      assert.ok(stages.includes(parent.replace('${DEVICE}', device)), `${parent} for ${device}`);
    }
  }
});

test('the build for graphics cards asks for a feature that the server has', () => {
  const features = read('server/Cargo.toml').match(/\[features\]([^[]*)/)[1];
  const asked = values('ENV').join(' ').matchAll(/--features (\w+)/g);
  const names = [...asked].map(([, name]) => name);
  assert.deepEqual(names, ['cuda']);
  for (const name of names) assert.match(features, new RegExp(`^${name} = `, 'm'));
});

test('the Dockerfile copies what exists and what .dockerignore lets through', () => {
  const allowed = read('.dockerignore').split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1));
  for (const value of values('COPY').filter(value => !value.includes('--from='))) {
    const sources = value.split(/\s+/).filter(word => !word.startsWith('--')).slice(0, -1);
    for (const source of sources) {
      assert.ok(existsSync(new URL(source, root)), `${source} exists`);
      assert.ok(source === '.' || allowed.includes(source), `.dockerignore lets ${source} through`);
    }
  }
  for (const path of allowed) assert.ok(existsSync(new URL(path, root)), `${path} in .dockerignore exists`);
});

test('every crate of the workspace reaches the build', () => {
  const members = JSON.parse(read('Cargo.toml').match(/members = (\[.*?\])/s)[1]);
  const allowed = read('.dockerignore').split('\n');
  for (const member of members) assert.ok(allowed.includes(`!${member}`), member);
});

test('the container runs as a user of its own and says how it is', () => {
  assert.notEqual(values('USER').at(-1), 'root');
  assert.equal(values('HEALTHCHECK').length, 1);
  assert.deepEqual(JSON.parse(values('ENTRYPOINT')[0]), ['chandler']);
});

test('files are copied from stages that exist', () => {
  const stages = values('FROM').map(value => value.match(/ AS (\S+)$/)?.[1]).filter(Boolean);
  for (const value of values('COPY')) {
    const from = value.match(/--from=(\S+)/)?.[1];
    if (from) assert.ok(stages.includes(from), from);
  }
});
