// The board through a real proxy, over TLS on a port of its own, in the ways that people set one up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board, freePort, until } from './board.mjs';
import { hydrated, open, pageOf, part } from './browser.mjs';
import { launch } from './form.mjs';
import { NAME, nginx } from './nginx.mjs';

const FIELDS = { max_steps: 40, per_device_train_batch_size: 1, gradient_accumulation_steps: 1, cutoff_len: 64 };

/** What a proxy may send as Host, and where the board may lie. `host`: the directive, none for nginx's default. */
const WAYS = [
  { title: 'Host $host', host: 'proxy_set_header Host $host;' },
  { title: 'Host $http_host', host: 'proxy_set_header Host $http_host;' },
  { title: 'no Host set' },
  { title: 'below a folder that the proxy takes off', folder: '/chandler', takesOff: true },
  { title: 'below a folder that the proxy leaves on', folder: '/tools/chandler', host: 'proxy_set_header Host $host;' },
];

for (const { title, host = '', folder = '', takesOff } of WAYS) {
  test(`through nginx: ${title}`, async t => {
    const port = await freePort();
    const url = `https://${NAME}:${port}${folder}`;
    const board = await Board.start(t, '--password', 'secret', '--public-url', url);
    const target = `${board.url}${takesOff ? '/' : ''}`;
    await nginx(t, port, `location ${folder}/ { proxy_pass ${target}; ${host} COMMON }`);
    const browser = await open(t, `--host-resolver-rules=MAP ${NAME} 127.0.0.1`);
    const page = await pageOf(t, browser, { ignoreHTTPSErrors: true });
    const asked = [];
    page.on('request', request => asked.push(request.url()));

    await page.goto(`${url}/`);
    await page.waitForURL(`${url}/login?next=/`);
    await page.locator('#password').fill('secret');
    await page.locator('button').click();
    await page.waitForURL(`${url}/`);
    const cookies = await page.context().cookies();
    const session = cookies.find(cookie => cookie.name.endsWith('chandler_session'));
    assert.ok(session.secure && session.httpOnly, JSON.stringify(session));
    assert.equal(session.path, folder || '/');
    assert.equal(session.name.startsWith('__Host-'), !folder);

    const id = await launch(page, { url }, 'through a proxy', FIELDS);
    await part(page, 'page-run').and(page.locator('[data-live="open"]')).waitFor();
    const state = () => part(page, 'state').first().getAttribute('data-state');
    await until('the run to finish', async () => {
      assert.ok(!['failed', 'interrupted'].includes(await state()), 'the run goes well');
      return await state() === 'finished';
    }, 120);
    const drawn = async () => Number(await part(page, 'chart').getAttribute('data-points'));
    await until('every point', async () => await drawn() === FIELDS.max_steps, 10);

    await part(page, 'chat-with').click();
    // The link from a run loads its model.
    await page.waitForURL(address => address.pathname === `${folder}/chat`);
    await part(page, 'chat-status').and(page.locator('[data-state="ready"]')).waitFor();
    await part(page, 'chat-input').fill('Who are you?');
    await part(page, 'send').click();
    const answer = part(page, 'message').and(page.locator('[data-role="assistant"]')).last();
    await until('an answer', async () => await part(page, 'regenerate').isVisible() && (await answer.innerText()).trim());

    await part(page, 'nav-data').click();
    await page.waitForURL(`${url}/datasets`);
    await part(page, 'data-add').locator('summary').click();
    const rows = '{"instruction": "Who are you?", "output": "I am Wick."}\n'.repeat(50_000);
    await part(page, 'upload-file').setInputFiles({ name: 'sent.jsonl', mimeType: 'text/plain', buffer: Buffer.from(rows) });
    await part(page, 'upload').click();
    await page.waitForURL(`${url}/entry?file=sent.jsonl`);

    await part(page, 'nav-home').click();
    await page.waitForURL(`${url}/`);
    await page.locator(`[data-test="run-row"][data-id="${id}"]`).waitFor();
    assert.equal(await part(page, 'nav-runs').getAttribute('aria-current'), 'page');
    await part(page, 'lang-switch').click();
    await page.waitForFunction(() => document.documentElement.lang === 'zh-CN');
    await page.reload();
    await hydrated(page);
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN');

    const kept = () => page.evaluate(() => [sessionStorage, localStorage].flatMap(Object.keys));
    assert.notDeepEqual(await kept(), [], 'the talk is kept');
    await part(page, 'log-out').click();
    await page.waitForURL(`${url}/login`);
    assert.deepEqual(await kept(), [], 'and goes with who held it');

    const astray = asked.filter(address => address.startsWith('http') && !address.startsWith(`${url}/`));
    assert.deepEqual(astray, [], 'all of the board lies in its folder');
    // On a busy machine Chromium wonders why what is loaded ahead is not used yet.
    const complaints = page.complaints.filter(text => !text.includes('was preloaded using link preload'));
    assert.deepEqual(complaints, []);
  });
}

test('a proxy without a public URL is told what to set', async t => {
  const port = await freePort();
  const board = await Board.start(t, '--allow-host', NAME);
  await nginx(t, port, `location / { proxy_pass ${board.url}; proxy_set_header Host $host; COMMON }`);
  const browser = await open(t, `--host-resolver-rules=MAP ${NAME} 127.0.0.1`);
  const page = await pageOf(t, browser, { ignoreHTTPSErrors: true });
  await page.goto(`https://${NAME}:${port}/`);
  const [status, text] = await page.evaluate(async () => {
    const answer = await fetch('/api/stop', { method: 'POST', body: new URLSearchParams({ id: 'x' }) });
    return [answer.status, await answer.text()];
  });
  assert.equal(status, 403);
  for (const said of [`Host: ${NAME},`, `Origin: https://${NAME}:${port}`, '--public-url']) assert.ok(text.includes(said), text);
});
