// What a run's page and the list of runs offer: chart, log, name, copy, end, search.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Board, until } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';
import { launch } from './form.mjs';

const STEPS = 60;
const FIELDS = { max_steps: STEPS, per_device_train_batch_size: 2, gradient_accumulation_steps: 1, cutoff_len: 128 };

const state = (page, wanted) => part(page, 'state').first().and(page.locator(`[data-state="${wanted}"]`)).waitFor();
const shown = (page, wanted) => until(`the rows ${wanted}`, async () => {
  const names = await page.locator('[data-test="run-row"] .row-link').allInnerTexts();
  return names.join() === wanted.join();
}, 20);

/** Sets a slider as a hand would. */
const slide = (slider, value) => slider.evaluate((input, value) => {
  input.value = value;
  input.dispatchEvent(new Event('input', { bubbles: true }));
}, `${value}`);

test('the page of a run', async t => {
  const board = await Board.start(t);
  const page = await pageOf(t, await open(t));
  const id = await launch(page, board, 'alpha', FIELDS);
  await state(page, 'finished');
  await part(page, 'chart').and(page.locator(`[data-points="${STEPS}"]`)).waitFor();

  const chart = part(page, 'chart');
  const path = name => chart.locator(`path.line-${name}`).getAttribute('d');
  const steps = () => chart.locator('text.tick[text-anchor="middle"]').allTextContents();
  const changes = (what, read, before) => until(`${what} to change`, async () => `${await read()}` !== `${before}`, 20);

  await t.test('smooths the curve', async () => {
    const [raw, smooth] = [await path('raw'), await path('smooth')];
    await slide(part(page, 'chart-smoothing'), 0.95);
    await changes('the smooth line', () => path('smooth'), smooth);
    assert.equal(await path('raw'), raw, 'what was measured stays');
    await slide(part(page, 'chart-smoothing'), 0);
    await until('the smooth line to go', async () => !await path('smooth'), 20);
    await slide(part(page, 'chart-smoothing'), 0.6);
    await until('the smooth line', async () => await path('smooth') === smooth, 20);
  });

  await t.test('has a logarithmic scale', async () => {
    const raw = await path('raw');
    await part(page, 'chart-log').check();
    await changes('the line', () => path('raw'), raw);
    await part(page, 'chart-log').uncheck();
    await until('the line as before', async () => await path('raw') === raw, 20);
  });

  await t.test('shows the values under the pointer, and by keyboard', async () => {
    const surface = chart.locator('.chart-surface');
    const box = await surface.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    const [, middle] = await until('the values', async () => (await chart.innerText()).match(/Step (\d+), Loss \d/), 20);
    assert.ok(middle > STEPS / 4 && middle < 3 * STEPS / 4, `step ${middle}`);
    await surface.focus();
    await page.keyboard.press('End');
    await until('the last step', async () => (await chart.innerText()).includes(`Step ${STEPS},`), 20);
  });

  await t.test('names its axes, and is saved as a picture', async () => {
    const titles = await chart.locator('text.axis-title').allTextContents();
    assert.deepEqual(titles, ['Loss', 'Step']);
    const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'chart-svg').click()]);
    assert.equal(file.suggestedFilename(), `loss-${id}.svg`);
    const picture = readFileSync(await file.path(), 'utf8');
    const shows = await page.evaluate(text => new Promise(done => {
      const image = new Image();
      image.onload = () => done(image.width);
      image.onerror = () => done(0);
      image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
    }), picture);
    assert.ok(shows > 200, 'a picture that stands by itself');
    assert.match(picture, /class="line-smooth"[^>]* stroke="(?!none)[^"]+"/, 'with its colours');
  });

  await t.test('has the average loss beside the last one', async () => {
    assert.match(await part(page, 'average-loss').innerText(), /average \d/);
    assert.ok(!await page.title().then(title => title.includes('%')), 'no progress of a run that is over');
  });

  await t.test('zooms to what is dragged over, and back', async () => {
    const box = await chart.locator('.chart-surface').boundingBox();
    const whole = await steps();
    await page.mouse.move(box.x + 0.4 * box.width, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.6 * box.width, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    await changes('the steps', steps, whole);
    await part(page, 'chart-reset').click();
    await until('all steps', async () => `${await steps()}` === `${whole}`, 20);
    assert.ok(!await part(page, 'chart-reset').isVisible());
  });

  await t.test('follows the log until one scrolls up', async () => {
    const log = part(page, 'log');
    const isAtEnd = () => log.evaluate(view => view.scrollTop + view.clientHeight >= view.scrollHeight - 2);
    // A few lines are a long log where there is room for two.
    await log.evaluate(view => { view.style.height = '3rem'; view.scrollTop = view.scrollHeight; });
    await until('the end', isAtEnd, 20);
    await page.mouse.move(0, 0);
    await log.hover();
    await page.mouse.wheel(0, -10000);
    await until('it to let go', async () => !await part(page, 'log-follow').isChecked(), 20);
    assert.ok(!await isAtEnd());
    await part(page, 'log-follow').check();
    await until('the end again', isAtEnd, 20);
  });

  await t.test('can be renamed', async () => {
    await part(page, 'rename').click();
    await part(page, 'name-input').fill('alpha & omega');
    await part(page, 'name-save').click();
    await until('the name', async () => await part(page, 'run-name').innerText() === 'alpha & omega', 20);
    await page.reload();
    await hydrated(page);
    assert.equal(await part(page, 'run-name').innerText(), 'alpha & omega');
  });

  await t.test('can be copied into a new run', async () => {
    await part(page, 'tab-config').click();
    const config = await part(page, 'config').innerText();
    await part(page, 'clone').click();
    await page.waitForURL(new RegExp(`/new\\?clone=${id}$`));
    await until('its recipe', async () => await part(page, 'yaml').innerText() === config, 20);
    assert.equal(await part(page, 'run-name').inputValue(), 'alpha & omega (copy)');
  });

  const other = await launch(page, board, 'beta', { ...FIELDS, max_steps: 100000, save_steps: 100000 });

  await t.test('can be cancelled', async () => {
    await state(page, 'running');
    // Should the page ask, an answer from before the end that comes after it must not bring the old state back.
    const asked = '**/api/run?*';
    const response = await page.request.get(`${board.url}/api/run?id=${other}`);
    assert.match(await response.text(), /"running"/);
    await page.route(asked, async route => {
      await state(page, 'stopped');
      await route.fulfill({ response });
    });
    await part(page, 'cancel').click();
    await part(page, 'cancel-confirm').click();
    await state(page, 'stopped');
    await page.waitForTimeout(500);
    await page.unroute(asked);
    assert.equal(await part(page, 'state').first().getAttribute('data-state'), 'stopped');
    assert.match(await part(page, 'reason').innerText(), /cancelled/);
    assert.equal(await part(page, 'checkpoint').count(), 0);
  });

  await t.test('is found by its name and its state', async () => {
    await page.goto(board.url);
    await hydrated(page);
    await shown(page, ['beta', 'alpha & omega']);
    await part(page, 'search').fill('OMEGA');
    await shown(page, ['alpha & omega']);
    assert.equal(new URL(page.url()).searchParams.get('q'), 'OMEGA');
    await part(page, 'search').fill('');
    await shown(page, ['beta', 'alpha & omega']);
    await part(page, 'state-filter').selectOption('stopped');
    await shown(page, ['beta']);
    await part(page, 'search').fill('omega');
    await part(page, 'no-match').waitFor();
    await part(page, 'no-match').getByRole('link').click();
    await shown(page, ['beta', 'alpha & omega']);
  });

  await t.test('can be deleted', async () => {
    await page.goto(`${board.url}/runs/${other}`);
    await hydrated(page);
    await part(page, 'delete').click();
    await part(page, 'delete-confirm').click();
    await page.waitForURL(`${board.url}/`);
    await shown(page, ['alpha & omega']);
    assert.ok(!existsSync(join(board.folder, 'runs', other)));
  });

  await t.test('saves its points as a table', async () => {
    await page.goto(`${board.url}/runs/${id}`);
    await chart.and(page.locator(`[data-points="${STEPS}"]`)).waitFor();
    await hydrated(page);
    const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'chart-csv').click()]);
    const lines = readFileSync(await file.path(), 'utf8').trim().split('\n');
    assert.equal(lines.length, STEPS + 1);
    assert.match(lines[0], /^step,epoch,loss,/);
  });
  noComplaints(page);
});
