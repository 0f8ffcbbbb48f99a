// What every page owes its reader: content without script, both themes, narrow screens, both languages,
// little to load, and no answer to other sites.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Board, until } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';

const PAGES = ['/', '/new', '/chat', '/datasets', '/datasets/identity?row=1', '/datasets/chandler_pairs?view=raw',
  '/entry?name=chandler_chat'];

/** Mean of red, green and blue of the page's background; a canvas understands every notation of colours. */
const brightness = page => page.evaluate(() => {
  const canvas = document.createElement('canvas').getContext('2d');
  canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return (red + green + blue) / 3;
});

test('pages', async t => {
  const board = await Board.start(t);
  const browser = await open(t);

  await t.test('have content without script', async () => {
    const page = await pageOf(t, browser, { javaScriptEnabled: false });
    for (const path of PAGES) {
      const answer = await page.goto(board.url + path);
      assert.equal(answer.status(), 200, path);
      assert.ok((await page.textContent('h1')).trim(), `${path} has a heading`);
      assert.ok((await page.innerText('main')).length > 40, `${path} has text`);
    }
    await page.goto(`${board.url}/new`);
    assert.ok(await page.locator('main input, main select').count() > 10, 'the form has its fields');
  });

  await t.test('answer 404 with a page where there is none', async () => {
    const page = await pageOf(t, browser, { javaScriptEnabled: false });
    for (const path of ['/no-such-page', '/runs/no-such-run']) {
      const answer = await page.goto(board.url + path);
      assert.equal(answer.status(), 404, path);
      await part(page, 'not-found').waitFor();
    }
  });

  await t.test('come to life without a complaint in the console', async () => {
    const page = await pageOf(t, browser);
    for (const path of PAGES) {
      await page.goto(board.url + path);
      await hydrated(page);
    }
    noComplaints(page);
  });

  await t.test('follow links without loading anew', async () => {
    const page = await pageOf(t, browser);
    await page.goto(board.url);
    await hydrated(page);
    await page.evaluate(() => { window.sameDocument = true; });
    for (const [link, path] of [['nav-chat', '/chat'], ['nav-data', '/datasets'], ['nav-new', '/new'], ['nav-runs', '/']]) {
      await part(page, link).click();
      await page.waitForURL(board.url + path);
    }
    assert.ok(await page.evaluate(() => window.sameDocument));
    noComplaints(page);
  });

  for (const colorScheme of ['light', 'dark']) {
    await t.test(`fit a screen of 360 pixels, ${colorScheme}`, async () => {
      const page = await pageOf(t, browser, { colorScheme, viewport: { width: 360, height: 740 } });
      for (const path of PAGES) {
        await page.goto(board.url + path);
        await hydrated(page);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 360, `${path} is ${wide} pixels wide`);
        assert.equal(await brightness(page) < 128, colorScheme === 'dark', `brightness of ${path}`);
      }
    });
  }

  await t.test('switch language, and stay in it', async () => {
    const page = await pageOf(t, browser);
    await page.goto(board.url);
    await hydrated(page);
    assert.equal(await page.getAttribute('html', 'lang'), 'en');
    await part(page, 'lang-switch').click();
    await page.waitForFunction(() => document.documentElement.lang.startsWith('zh'));
    await page.goto(`${board.url}/new`);
    assert.match(await page.innerText('main'), /[\u4e00-\u9fff]/);
  });

  await t.test('switch language without script, too', async () => {
    const page = await pageOf(t, browser, { javaScriptEnabled: false });
    await page.goto(board.url);
    await part(page, 'lang-switch').click();
    await page.waitForLoadState();
    assert.match(await page.getAttribute('html', 'lang'), /^zh/);
    assert.equal(new URL(page.url()).origin, board.url);
  });

  await t.test('keep the chosen theme', async () => {
    const page = await pageOf(t, browser, { colorScheme: 'light' });
    await page.goto(board.url);
    await hydrated(page);
    const theme = () => page.getAttribute('html', 'data-theme');
    for (let clicks = 0; await theme() !== 'dark'; clicks += 1) {
      assert.ok(clicks < 3, 'dark is one of the themes');
      await part(page, 'theme-switch').click();
    }
    await page.reload();
    assert.equal(await theme(), 'dark');
  });

  await t.test('keep their own headers while files are fetched beside them', async () => {
    const fetchAll = path => Promise.all(Array.from({ length: 40 }, () => fetch(board.url + path)));
    const [pages, files] = await Promise.all([fetchAll('/new'), fetchAll('/pkg/chandler.css')]);
    for (const answer of pages) {
      const [, nonce] = (await answer.text()).match(/<script[^>]* nonce="([^"]+)"/);
      assert.ok(answer.headers.get('content-security-policy').includes(`'nonce-${nonce}'`));
    }
    for (const answer of files) assert.ok(!answer.headers.get('content-security-policy').includes('nonce-'));
  });

  await t.test('weigh little at first sight, and nothing twice', { skip: process.env.CHANDLER_DEV }, async () => {
    const most = { '/': 450e3, '/new': 550e3, '/chat': 550e3, '/datasets': 550e3, '/datasets/identity': 550e3, '/entry': 550e3 };
    for (const [path, limit] of Object.entries(most)) {
      const page = await pageOf(t, browser);
      const session = await page.context().newCDPSession(page);
      await session.send('Network.enable');
      let bytes = 0;
      const fetched = [];
      session.on('Network.loadingFinished', event => { bytes += event.encodedDataLength; });
      session.on('Network.requestWillBeSent', event => fetched.push(new URL(event.request.url).pathname));
      const start = Date.now();
      await page.goto(board.url + path);
      await hydrated(page);
      const usable = Date.now() - start;
      await page.waitForLoadState('networkidle');
      t.diagnostic(`${path}: ${(bytes / 1e3).toFixed(0)} KB, usable after ${usable} ms`);
      assert.ok(bytes < limit, `${path}: ${bytes} bytes`);
      assert.equal(new Set(fetched).size, fetched.length, `fetched twice: ${fetched}`);
      // What a build's files are named for is kept: the page alone is asked for again.
      bytes = 0;
      await page.reload();
      await hydrated(page);
      await page.waitForLoadState('networkidle');
      assert.ok(bytes < 120e3, `${path} again: ${bytes} bytes`);
    }
  });

  await t.test('load the code of a page when a link to it is pointed at', async () => {
    const page = await pageOf(t, browser);
    const fetched = [];
    page.on('request', request => fetched.push(request.url()));
    await page.goto(board.url);
    await hydrated(page);
    const form = () => fetched.filter(url => url.includes('split_form'));
    assert.equal(form().length, 0);
    await part(page, 'nav-new').hover();
    await until('the code of the form', () => form().length === 1, 20);
  });
});

/** Status of a request with these headers; fetch would not let a test set Host or Origin. */
function status(board, { method = 'GET', path = '/', headers = {} }) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: board.port, method, path, headers };
    request(options, answer => resolve(answer.resume().statusCode)).on('error', reject).end();
  });
}

/** First line of the answer to a websocket's opening. */
function upgrade(board, origin) {
  return new Promise((resolve, reject) => {
    const socket = connect(board.port, '127.0.0.1', () => socket.write([
      'GET /ws/runs/any HTTP/1.1', `Host: 127.0.0.1:${board.port}`, `Origin: ${origin}`, 'Upgrade: websocket',
      'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', '', '',
    ].join('\r\n')));
    socket.once('data', data => { resolve(data.toString().split('\r\n')[0]); socket.destroy(); });
    socket.once('error', reject);
  });
}

test('other sites', async t => {
  const board = await Board.start(t);
  const ours = `127.0.0.1:${board.port}`;

  await t.test('cannot reach the board under a name of theirs', async () => {
    assert.equal(await status(board, { headers: { Host: ours } }), 200);
    for (const host of ['evil.example', `evil.example:${board.port}`, 'localhost.evil.example']) {
      assert.equal(await status(board, { headers: { Host: host } }), 403, host);
    }
  });

  await t.test('cannot make a browser read anything, unless it follows a link', async () => {
    const get = headers => status(board, { path: '/api/runs?search=', headers: { Host: ours, ...headers } });
    assert.equal(await get({ Origin: board.url }), 200);
    assert.equal(await get({ Origin: 'http://evil.example' }), 403);
    assert.equal(await get({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }), 403);
    assert.equal(await get({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }), 200);
  });

  await t.test('cannot make a browser change anything', async () => {
    const post = origin => status(board, { method: 'POST', path: '/api/launch', headers: { Host: ours, Origin: origin } });
    assert.notEqual(await post(board.url), 403);
    for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:1']) {
      assert.equal(await post(origin), 403, origin);
    }
  });

  await t.test('cannot listen to a run', async () => {
    assert.doesNotMatch(await upgrade(board, board.url), / 403 /);
    assert.match(await upgrade(board, 'http://evil.example'), / 403 /);
  });
});
