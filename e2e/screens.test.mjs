// Every page on narrow, middling and wide screens, in both themes and languages: nothing hangs over, axe finds nothing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Board, until } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';
import { launch } from './form.mjs';

process.env.HF_ENDPOINT = 'http://127.0.0.1:1';
process.env.HF_HOME = '/nonexistent';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [360, 720, 1440];

/** How far the page reaches beyond the screen, and what does. */
const overhang = page => page.evaluate(() => {
  const over = document.documentElement.scrollWidth - innerWidth;
  if (over <= 0) return '';
  const wide = [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1);
  return `${over} px: ${wide.slice(0, 4).map(e => `${e.tagName}.${e.className}`).join(', ')}`;
});

/** Serious and critical findings. */
async function findings(page) {
  // Past the page's content policy, as a browser's extension would.
  await page.evaluate(source => { (0, eval)(source); }, axe).catch(async () => page.addScriptTag({ content: axe }));
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  const bad = violations.filter(found => ['serious', 'critical'].includes(found.impact));
  return bad.map(found => `${found.impact} ${found.id}: ${found.nodes.map(node => node.target.join(' ')).slice(0, 3).join('; ')}`);
}

test('every page on every screen', async t => {
  const board = await Board.start(t);
  const browser = await open(t);
  const first = await pageOf(t, browser);
  const long = 'a run with a name as long as people give them when they try many things in an afternoon, one of them';
  const id = await launch(first, board, long, { max_steps: 12, save_steps: 1, val_size: 0.2 });
  await part(first, 'state').first().and(first.locator('[data-state="finished"]')).waitFor();
  const pages = ['/', '/new', `/new?clone=${id}`, `/runs/${id}`, '/chat', '/datasets', '/datasets/identity?row=1', '/entry', '/entry?name=identity', '/nowhere'];

  for (const lang of ['en', 'zh']) for (const colorScheme of ['light', 'dark']) {
    await t.test(`${lang}, ${colorScheme}`, async () => {
      const locale = lang === 'zh' ? 'zh-CN' : 'en-US';
      const page = await pageOf(t, browser, { locale, colorScheme, bypassCSP: true });
      for (const path of pages) {
        await page.goto(board.url + path);
        await hydrated(page);
        assert.ok((await page.getAttribute('html', 'lang')).startsWith(lang));
        if (path === '/new') {
          await part(page, 'field-model_name_or_path').selectOption('…');
          await part(page, 'model-path').fill('deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B');
          await page.locator('input[name="dataset"][value="identity"]').check();
        }
        for (const width of WIDTHS) {
          await page.setViewportSize({ width, height: 800 });
          // The chart draws itself anew for its new width.
          await until(`${path} to fit ${width} px`, async () => !await overhang(page), 3).catch(async error => {
            throw new Error(`${error.message}: ${await overhang(page)}`);
          });
          if (path.startsWith('/runs/')) {
            await until('a legible chart', () => page.evaluate(() => {
              const svg = document.querySelector('.chart-surface svg');
              return Math.abs(svg.viewBox.baseVal.width - svg.getBoundingClientRect().width) < 2;
            }), 5);
          }
          if (width !== 720) assert.deepEqual(await findings(page), [], `${path} at ${width} px`);
        }
      }
    });
  }

  await t.test('the chart is legible when one comes from the list, too', async () => {
    const page = await pageOf(t, browser, { viewport: { width: 360, height: 740 } });
    await page.goto(board.url);
    await hydrated(page);
    await page.locator('.row-link').first().click();
    await until('a chart as wide as its place', () => page.evaluate(() => {
      const svg = document.querySelector('.chart-surface svg');
      return svg && Math.abs(svg.viewBox.baseVal.width - svg.getBoundingClientRect().width) < 2;
    }), 10);
    noComplaints(page);
  });

  await t.test('a list is found where it was left', async () => {
    const page = await pageOf(t, browser, { viewport: { width: 360, height: 240 } });
    await page.goto(board.url);
    await hydrated(page);
    await page.evaluate(() => scrollTo(0, 120));
    await until('the place to be kept', () => page.evaluate(() => Object.values(sessionStorage).includes('120')), 10);
    await page.locator('.row-link').first().click();
    await page.waitForURL(/\/runs\//);
    await page.goBack();
    await until('the place', () => page.evaluate(() => Math.abs(scrollY - 120) < 2), 10);
    noComplaints(page);
  });

  await t.test('on a slow line pages are read at once and answer in the end', async () => {
    const page = await pageOf(t, browser, { viewport: { width: 360, height: 740 } });
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    await session.send('Network.emulateNetworkConditions', {
      offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8,
    });
    await page.goto(board.url, { waitUntil: 'commit' });
    await page.locator('.row-link').first().waitFor();
    await hydrated(page);
    await part(page, 'nav-new').click();
    await part(page, 'field-learning_rate').waitFor();
    noComplaints(page);
  });

  await t.test('the log tells each step, is searched, and saved whole', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/runs/${id}`);
    await hydrated(page);
    const log = part(page, 'log');
    assert.match(await log.innerText(), /Step 12 · loss \d[\s\S]*Checkpoint saved: checkpoint-12[\s\S]*Finished/);
    await part(page, 'log-search').fill('checkpoint');
    await until('the lines found', async () => await log.locator('p[data-level]').count() === 12, 10);
    const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'log-save').click()]);
    const saved = readFileSync(await file.path(), 'utf8');
    assert.equal(saved.match(/Z Step \d+ · loss /g).length, 12);
    noComplaints(page);
  });
});
