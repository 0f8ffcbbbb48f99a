// nginx with TLS before a board, as its users set it up.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './board.mjs';

/** The name that browsers of these tests know the proxy by. */
export const NAME = 'board.test';

/** What docs/deploy.md says that every location has: websockets, streams as they come, uploads of any size. */
const COMMON = readFileSync(new URL('../docs/deploy.md', import.meta.url), 'utf8')
  .match(/# What every board needs\.\n([^}]*)\n *}/)[1];

/** Serves `https://NAME:port` with `location` in it, until test `t` ends. */
export async function nginx(t, port, location) {
  const folder = mkdtempSync(join(tmpdir(), 'chandler-nginx-'));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', 'cert.pem', '-days', '2', '-subj', `/CN=${NAME}`],
    { cwd: folder, stdio: 'ignore' });
  mkdirSync(join(folder, 'temp'));
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path temp/${name};`).join(' ');
  writeFileSync(join(folder, 'nginx.conf'), `
daemon off; pid nginx.pid; error_log error.log;
events {}
http {
  access_log off; ${temp}
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} ssl;
    server_name ${NAME};
    ssl_certificate cert.pem; ssl_certificate_key key.pem;
    ${location.replace('COMMON', COMMON)}
  }
}`);
  const log = openSync(join(folder, 'error.log'), 'a');
  // Debian puts it where root alone looks for programs.
  const program = existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : 'nginx';
  const server = spawn(program, ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log'], { stdio: ['ignore', log, log] });
  const gone = once(server, 'exit');
  t.after(async () => {
    server.kill('SIGTERM');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });
  await until('nginx to listen', async () => {
    if (server.exitCode !== null) throw new Error(`nginx ended:\n${readFileSync(join(folder, 'error.log'), 'utf8')}`);
    return fetch(`http://127.0.0.1:${port}`).then(() => true, () => false);
  });
}
