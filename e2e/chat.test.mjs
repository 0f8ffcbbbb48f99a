// The chat page: what an answer is asked for with, and how answers and models are given up.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Board } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';

const answer = page => part(page, 'message').and(page.locator('[data-role="assistant"]')).last();
const status = (page, wanted) => part(page, 'chat-status').and(page.locator(`[data-state="${wanted}"]`)).waitFor();

async function say(page, text) {
  await part(page, 'chat-input').fill(text);
  const asked = page.waitForRequest('**/chat/stream');
  await part(page, 'send').click();
  return (await asked).postDataJSON();
}

test('the chat', async t => {
  // A hub that takes a question and never answers.
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  process.env.HF_ENDPOINT = `http://127.0.0.1:${silent.address().port}`;
  t.after(() => silent.close());
  const board = await Board.start(t);
  const page = await pageOf(t, await open(t));
  await page.goto(`${board.url}/chat`);
  await hydrated(page);

  await t.test('gives up a model that does not come', async () => {
    await part(page, 'chat-target').selectOption('hub:');
    await part(page, 'chat-hub').fill('owner/model');
    await part(page, 'load').click();
    await status(page, 'loading');
    await part(page, 'cancel-load').click();
    await status(page, 'unloaded');
    await part(page, 'load').waitFor();
    assert.equal(await part(page, 'cancel-load').count(), 0);
  });

  await t.test('asks with the system prompt and the settings', async () => {
    await part(page, 'chat-target').selectOption('model:wick');
    await part(page, 'load').click();
    await status(page, 'ready');
    await part(page, 'chat-system').fill('Answer in rhymes.');
    await page.locator('input[name="temperature"]').evaluate(slider => {
      slider.value = '0.5';
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    });
    await page.locator('input[name="top_k"]').fill('7');
    await page.locator('input[name="max_new_tokens"]').fill('5');
    const request = await say(page, 'Who are you?');
    assert.deepEqual(request.messages, [
      { role: 'system', content: 'Answer in rhymes.' }, { role: 'user', content: 'Who are you?' },
    ]);
    const { do_sample, temperature, top_k, max_new_tokens } = request;
    assert.deepEqual({ do_sample, temperature, top_k, max_new_tokens },
      { do_sample: true, temperature: 0.5, top_k: 7, max_new_tokens: 5 });
    await part(page, 'regenerate').waitFor();
    assert.match(await answer(page).innerText(), /\b[1-5] tokens/);

    await page.locator('input[name="do_sample"]').uncheck();
    assert.ok(await page.locator('input[name="temperature"]').isDisabled());
    assert.equal((await say(page, 'And now?')).do_sample, false);
    await part(page, 'regenerate').waitFor();
  });

  await t.test('stops an answer, and can be talked to again', async () => {
    // The answer is on its way for as long as it takes.
    await page.route('**/chat/stream', () => {});
    await say(page, 'Tell me a long story.');
    await part(page, 'stop-answer').click();
    await part(page, 'regenerate').waitFor();
    assert.match(await answer(page).innerText(), /stopped/);
    await page.unroute('**/chat/stream');
    await say(page, 'Never mind.');
    await part(page, 'regenerate').waitFor();
    assert.match(await answer(page).innerText(), /\b[1-5] tokens/);
    await part(page, 'clear').click();
    assert.equal(await part(page, 'message').count(), 0);
  });
  noComplaints(page);
});
