// A run from its launch in the browser to a chat with its result, also across the death of the server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Board, pointsOf, until } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';
import { launch } from './form.mjs';

// Enough to be stopped, reloaded and killed on the way, on a quick machine too.
const STEPS = 800;
const FIELDS = {
  max_steps: STEPS,
  per_device_train_batch_size: 2,
  gradient_accumulation_steps: 1,
  learning_rate: '2e-3',
  cutoff_len: 256,
  save_steps: 100,
};

const drawn = async page => Number(await part(page, 'chart').getAttribute('data-points'));
const state = page => part(page, 'state').first().getAttribute('data-state');
const isLive = page => part(page, 'page-run').and(page.locator('[data-live="open"]')).waitFor();
const reaches = (page, wanted, seconds) => until(`the state ${wanted}`, async () => {
  const now = await state(page);
  if (now === wanted) return true;
  const over = ['failed', 'interrupted', 'finished', 'stopped'];
  if (over.includes(now) && !over.includes(wanted)) throw new Error(`${now}: ${await part(page, 'reason').innerText()}`);
  return false;
}, seconds);

/** Waits until the chart holds `more` points more than now. */
async function grows(page, more = 3) {
  const before = await drawn(page);
  await until('more points', async () => {
    if (await drawn(page) >= before + more) return true;
    assert.notEqual(await state(page), 'finished', `the run ended after ${before} points`);
    return false;
  });
}

/** All events that the server has of a run, as its websocket sends them. */
function sent(page, id) {
  return page.evaluate(id => new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${location.host}/ws/runs/${id}?after=0`);
    socket.onmessage = message => {
      const frame = JSON.parse(message.data);
      if (frame.kind === 'backfill') { socket.close(); resolve(frame.events); }
    };
    socket.onerror = () => reject(new Error('the websocket failed'));
  }), id);
}

/** Worker's file, server's database and page tell the same story: every step once, none missing. */
async function agree(page, board, id, total) {
  const written = board.events(id);
  assert.deepEqual(written.map(event => event.seq), written.map((_, index) => index + 1), 'events are numbered');
  const points = pointsOf(written);
  assert.deepEqual(points.map(point => point.step), Array.from({ length: total }, (_, index) => index + 1));
  assert.deepEqual(pointsOf(await sent(page, id)), points, 'the server has what the worker wrote');
  await until('the page to draw every point', async () => await drawn(page) === total, 10);
  await page.reload();
  await isLive(page);
  await until('the page to draw every point after a reload', async () => await drawn(page) === total, 10);
}

test('launch, watch, reload, stop, resume, finish, chat', async t => {
  const board = await Board.start(t);
  const page = await pageOf(t, await open(t));
  const id = await launch(page, board, 'from the browser', FIELDS);

  await isLive(page);
  await reaches(page, 'running');
  await grows(page);
  await page.reload();
  await isLive(page);
  await grows(page);

  await part(page, 'stop').click();
  await reaches(page, 'stopped');
  const kept = await drawn(page);
  assert.ok(kept < STEPS, 'it was stopped before its end');
  assert.ok(await part(page, 'checkpoint').count() > 0, 'a checkpoint is there');
  await sleep(500);
  assert.equal(await drawn(page), kept, 'nothing more is trained');

  await part(page, 'resume').click();
  await until('the run to be queued again', async () => await state(page) !== 'stopped');
  await reaches(page, 'running');
  await grows(page);
  await reaches(page, 'finished', 300);
  await agree(page, board, id, STEPS);

  await page.goto(board.url);
  await page.locator(`[data-test="run-row"][data-id="${id}"]`).waitFor();

  await page.goto(`${board.url}/runs/${id}`);
  await isLive(page);
  await part(page, 'chat-with').click();
  await page.waitForURL(/\/chat/);
  const status = part(page, 'chat-status');
  await until('the model to be loaded', async () => {
    const now = await status.getAttribute('data-state');
    assert.notEqual(now, 'failed', await status.innerText());
    return now === 'ready';
  });
  await part(page, 'chat-input').fill('Who are you?');
  await part(page, 'send').click();
  const answer = part(page, 'message').and(page.locator('[data-role="assistant"]')).last();
  await until('an answer', async () => await part(page, 'regenerate').isVisible() && (await answer.innerText()).trim());
  await part(page, 'unload').click();
  await part(page, 'chat-status').and(page.locator('[data-state="unloaded"]')).waitFor();
  noComplaints(page);
});

test('a run goes on while the server is dead, and every point arrives once', async t => {
  const board = await Board.start(t);
  const page = await pageOf(t, await open(t));
  const id = await launch(page, board, 'outlives its server', FIELDS);
  await isLive(page);
  await reaches(page, 'running');
  await grows(page);

  await board.kill();
  const worker = board.workerOf(id);
  const seen = board.events(id).length;
  await until('the worker to go on by itself', () => board.events(id).length > seen + 5);
  await part(page, 'page-run').and(page.locator('[data-live="retrying"]')).waitFor();

  await board.restart();
  await isLive(page);
  assert.equal(board.workerOf(id), worker, 'the same worker is at work');
  await grows(page);
  await reaches(page, 'finished', 300);
  await agree(page, board, id, STEPS);
  noComplaints(page);
});

test('a run that ends with its server goes on with the next', async t => {
  const board = await Board.start(t, '--stop-runs-on-exit');
  const page = await pageOf(t, await open(t));
  const id = await launch(page, board, 'ends with its server', FIELDS);
  await isLive(page);
  await reaches(page, 'running');
  await grows(page);

  const gone = once(board.process, 'exit');
  board.process.kill('SIGTERM');
  assert.deepEqual(await gone, [0, null]);
  const events = board.events(id);
  const checkpoint = events.findLast(event => event.type === 'checkpoint');
  assert.equal(events.at(-1).outcome, 'stopped');
  assert.ok(existsSync(join(board.folder, 'runs', id, 'output', checkpoint.path, 'adapter_model.safetensors')));
  assert.ok(!existsSync(`/proc/${board.workerOf(id)}`), 'the worker is gone');

  await board.restart();
  await isLive(page);
  await reaches(page, 'finished', 300);
  await agree(page, board, id, STEPS);
  const starts = board.events(id).filter(event => event.type === 'start');
  assert.deepEqual(starts.map(event => event.start_step), [0, checkpoint.step]);
  noComplaints(page);
});

test('the form says what is wrong at its field, and launches nothing', async t => {
  const board = await Board.start(t);
  const page = await pageOf(t, await open(t));
  await page.goto(`${board.url}/new`);
  await hydrated(page);
  await part(page, 'field-learning_rate').fill('fast');
  await part(page, 'problem-learning_rate').waitFor();
  assert.match(await part(page, 'problem-learning_rate').innerText(), /fast/);
  await part(page, 'launch').click();
  await part(page, 'problem-dataset').waitFor();
  assert.equal(new URL(page.url()).pathname, '/new');
  await part(page, 'load-yaml').click();
  await part(page, 'load-text').fill('stage: sft\nlerning_rate: 1.0\n');
  await part(page, 'load-apply').click();
  assert.match(await part(page, 'load-problems').innerText(), /lerning_rate/);
  noComplaints(page);
});
