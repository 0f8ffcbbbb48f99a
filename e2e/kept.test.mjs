// What is typed is kept: over a reload, a visit to another page, a change of language, and before the page answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board, until } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';
import { launch } from './form.mjs';

// No hub is ever reached.
process.env.HF_ENDPOINT = 'http://127.0.0.1:1';
process.env.HF_HOME = '/nonexistent';

const value = (page, name) => part(page, name).inputValue();
const holds = (page, name, wanted) => until(`${name} to hold ${wanted}`, async () => await value(page, name) === wanted, 20);
const tick = (page, name) => page.locator(`input[name="dataset"][value="${name}"]`);

test('what is filled in', async t => {
  const board = await Board.start(t);
  const browser = await open(t);
  const at = async (path, options) => {
    const page = await pageOf(t, browser, options);
    await page.goto(board.url + path);
    await hydrated(page);
    return page;
  };

  await t.test('outlives a reload, another page and another language', async () => {
    const page = await at('/new');
    assert.ok(await part(page, 'draft').isHidden(), 'nothing was restored');
    await tick(page, 'identity').check();
    await part(page, 'run-name').fill('half done');
    await part(page, 'field-learning_rate').fill('1,5e-4');
    await part(page, 'field-stage').selectOption('pt');
    await part(page, 'field-stage').selectOption('sft');
    const kept = async () => {
      await holds(page, 'field-learning_rate', '1,5e-4');
      assert.equal(await value(page, 'run-name'), 'half done');
      assert.ok(await tick(page, 'identity').isChecked());
    };
    await page.reload();
    await hydrated(page);
    await kept();
    assert.ok(await part(page, 'draft').isVisible());
    await page.evaluate(() => { window.still = true; });
    await part(page, 'lang-switch').click();
    await page.locator('h1', { hasText: '新建训练' }).waitFor();
    await kept();
    assert.equal(await page.evaluate(() => document.activeElement.dataset.test), 'lang-switch', 'the focus stays');
    await part(page, 'nav-runs').click();
    await page.waitForURL(`${board.url}/`);
    await page.goBack();
    await kept();
    assert.ok(await page.evaluate(() => window.still), 'all without a reload');
    await part(page, 'draft-discard').click();
    await holds(page, 'field-learning_rate', '2e-3');
    assert.ok(!await tick(page, 'identity').isChecked());
    await page.reload();
    await hydrated(page);
    assert.equal(await value(page, 'run-name'), '');
    noComplaints(page);
  });

  await t.test('is taken in before the page answers, and sent as it is shown', async () => {
    const page = await pageOf(t, browser);
    let release;
    const held = new Promise(resolve => { release = resolve; });
    await page.route(/\.wasm/, async route => {
      await held;
      await route.continue();
    });
    await page.goto(`${board.url}/new`, { waitUntil: 'commit' });
    await tick(page, 'identity').check();
    await part(page, 'field-learning_rate').fill('5e-4');
    await part(page, 'field-stage').selectOption('pt');
    await part(page, 'run-name').fill('early');
    assert.ok(await part(page, 'launch').isDisabled(), 'a button that does nothing yet says so');
    release();
    await hydrated(page);
    await until('the config to say what the form shows', async () => {
      const yaml = await part(page, 'yaml').innerText();
      return yaml.includes('stage: pt') && yaml.includes('learning_rate: 5.0e-4') && yaml.includes('dataset: identity');
    }, 20);
    assert.equal(await value(page, 'field-stage'), 'pt');
    assert.equal(await value(page, 'run-name'), 'early');
    assert.ok(await part(page, 'launch').isEnabled());
    noComplaints(page);
  });

  await t.test('starts from what suits the model, listed or not, and turns evaluation on with its data', async () => {
    const page = await at('/new');
    const starts = async expected => {
      for (const [key, wanted] of Object.entries(expected)) await holds(page, `field-${key}`, wanted);
    };
    await starts({ learning_rate: '2e-3', num_train_epochs: '15', cutoff_len: '512' });
    await part(page, 'field-model_name_or_path').selectOption('…');
    await part(page, 'model-path').fill('Qwen/Qwen2.5-0.5B-Instruct');
    await starts({ learning_rate: '1e-4', num_train_epochs: '3.0', lora_rank: '8', cutoff_len: '1024', template: 'qwen' });
    assert.ok(await part(page, 'memory').isHidden(), 'the estimate of another model is gone');
    await part(page, 'field-val_size').fill('0.2');
    await starts({ eval_strategy: 'steps', eval_steps: '100' });
    await part(page, 'field-val_size').fill('0');
    await starts({ eval_strategy: 'no' });
    noComplaints(page);
  });

  await t.test('is checked against data, modules and context before a launch', async () => {
    const page = await at('/datasets/ultrachat_200k');
    await part(page, 'not-downloaded').waitFor();
    await page.goto(`${board.url}/datasets/identity`);
    await hydrated(page);
    await part(page, 'use-dataset').click();
    await until('the tick', async () => await tick(page, 'identity').isChecked(), 20);
    await part(page, 'field-lora_target').fill('nosuch');
    await part(page, 'field-cutoff_len').fill('99999');
    await part(page, 'field-learning_rate').fill('1');
    const told = (list, what) => until(what, async () => (await part(page, list).innerText()).includes(what), 30);
    await told('problems', '`nosuch`');
    await told('warnings', 'context window of 512');
    await told('warnings', 'training will diverge');
    noComplaints(page);
  });

  await t.test('leads to the first problem', async () => {
    const page = await at('/new', { viewport: { width: 360, height: 740 } });
    await tick(page, 'identity').check();
    await part(page, 'field-learning_rate').fill('fast');
    await part(page, 'launch').click();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'field-learning_rate');
  });

  await t.test('is a talk, too; and a run is talked to with one click', async () => {
    const page = await at('/new', { viewport: { width: 360, height: 740 } });
    const id = await launch(page, board, 'talker', { max_steps: 2 });
    await part(page, 'state').first().and(page.locator('[data-state="finished"]')).waitFor();
    await page.goto(`${board.url}/new`);
    await hydrated(page);
    assert.equal(await value(page, 'run-name'), '', 'what was launched is no draft any more');
    await page.goto(`${board.url}/runs/${id}`);
    await hydrated(page);
    await part(page, 'chat-with').click();
    await part(page, 'chat-status').and(page.locator('[data-state="ready"]')).waitFor();
    await part(page, 'chat-input').fill('Who are you?');
    await page.keyboard.press('Enter');
    await part(page, 'regenerate').waitFor();
    const answer = page.locator('[data-role="assistant"]');
    const seen = await answer.boundingBox();
    assert.ok(seen.y >= 0 && seen.y < 740, 'the answer is in view');
    const words = await answer.innerText();
    await part(page, 'chat-input').fill('and');
    await part(page, 'chat-system').fill('Be brief.');
    const kept = async () => {
      await holds(page, 'chat-input', 'and');
      assert.equal(await value(page, 'chat-system'), 'Be brief.');
      assert.equal(await part(page, 'message').count(), 2);
      assert.equal(await answer.innerText(), words);
    };
    await page.reload();
    await hydrated(page);
    await kept();
    await part(page, 'nav-runs').click();
    await page.waitForURL(`${board.url}/`);
    await page.goBack();
    await kept();
    noComplaints(page);
  });

  await t.test('is asked for again after the server was away', async () => {
    const page = await at('/');
    await board.kill();
    await part(page, 'nav-data').click();
    await part(page, 'retry').waitFor();
    await board.restart();
    await part(page, 'retry').click();
    await part(page, 'datasets-here').waitFor();
  });
});
