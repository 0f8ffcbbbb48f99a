// The form of a new run: data sets to pick, models on a hub, what is said before a launch.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Board, until } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';

// No hub is ever reached.
process.env.HF_ENDPOINT = 'http://127.0.0.1:1';
process.env.HF_HOME = '/nonexistent';

test('the form of a new run', async t => {
  const board = await Board.start(t);
  const browser = await open(t);
  const fresh = async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/new`);
    await hydrated(page);
    return page;
  };
  const problems = count => page => part(page, 'form-state').and(page.locator(`[data-problems="${count}"]`)).waitFor();
  const tick = (page, name) => page.locator(`input[name="dataset"][value="${name}"]`);

  await t.test('finds data sets by their names', async () => {
    const page = await fresh();
    assert.ok(await tick(page, 'identity').isVisible(), 'what is here is seen at once');
    assert.ok(!await tick(page, 'ultrachat_200k').isVisible(), 'what is on a hub is folded');
    for (const other of ['chandler_pairs', 'chandler_text']) {
      assert.ok(!await tick(page, other).isVisible(), `${other} is not for this stage`);
    }
    await part(page, 'search-dataset').fill('ultra H4');
    await tick(page, 'ultrachat_200k').check();
    assert.ok(!await tick(page, 'identity').isVisible());
    await part(page, 'search-dataset').fill('');
    await tick(page, 'identity').check();
    assert.match(await part(page, 'yaml').innerText(), /dataset: ultrachat_200k,identity\n/);
    await part(page, 'chosen-dataset').getByRole('button').first().click();
    assert.match(await part(page, 'yaml').innerText(), /dataset: identity\n/);
    noComplaints(page);
  });

  await t.test('takes a recipe from a file, and gives the same back', async () => {
    const page = await fresh();
    const recipe = [
      'model_name_or_path: models/wick', 'template: chatml', 'dataset: identity', 'output_dir: saves/elsewhere',
      'learning_rate: 3.0e-4', 'lora_rank: 12', 'plot_loss: true', 'use_cpu: true', 'top_k: 7',
    ].join('\n');
    await part(page, 'load-yaml').click();
    await part(page, 'load-file').setInputFiles({ name: 'a.yaml', mimeType: 'application/yaml', buffer: Buffer.from(recipe) });
    await until('the text', async () => await part(page, 'load-text').inputValue() === recipe, 20);
    await part(page, 'load-apply').click();
    await part(page, 'load-dialog').waitFor({ state: 'hidden' });
    assert.equal(await part(page, 'field-lora_rank').inputValue(), '12');
    assert.ok(await tick(page, 'identity').isChecked());
    assert.match(await part(page, 'overruled').innerText(), /output_dir/);
    await part(page, 'further-use_cpu').click();
    await problems(0)(page);
    assert.match(await part(page, 'memory').innerText(), /\d [MG]iB/);
    assert.match(await part(page, 'memory-parts').innerText(), /Weights.*Adapters.*Gradients.*Optimizer.*Activations/s);
    const widths = await part(page, 'memory-bar').locator('rect').evaluateAll(bars => bars.map(bar => +bar.getAttribute('width')));
    assert.ok(Math.abs(widths.reduce((sum, width) => sum + width) - 1000) < 1, `${widths}`);
    const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'download-yaml').click()]);
    const saved = readFileSync(await file.path(), 'utf8');
    assert.equal(saved.trim(), (await part(page, 'yaml').innerText()).trim());
    for (const line of ['learning_rate: 3.0e-4', 'lora_rank: 12', 'plot_loss: true', 'top_k: 7']) {
      assert.ok(saved.includes(`${line}\n`), line);
    }
    assert.doesNotMatch(saved, /use_cpu|elsewhere/);
    noComplaints(page);
  });

  await t.test('shows what applies with its default, folded fields too, and keeps what was typed', async () => {
    const page = await fresh();
    assert.equal(await part(page, 'field-num_generations').count(), 0, 'what does not apply is not drawn');
    const folded = part(page, 'field-adam_beta1');
    await folded.waitFor({ state: 'attached' });
    assert.equal(await folded.inputValue(), '0.9');
    assert.equal(await part(page, 'field-save_strategy').inputValue(), 'steps');
    await part(page, 'field-stage').selectOption('grpo');
    const answers = part(page, 'field-num_generations');
    await answers.fill('4');
    await part(page, 'field-stage').selectOption('sft');
    assert.ok(!await answers.isVisible());
    await part(page, 'field-stage').selectOption('grpo');
    assert.equal(await answers.inputValue(), '4');
    assert.match(await part(page, 'yaml').innerText(), /num_generations: 4\n/);
    noComplaints(page);
  });

  await t.test('asks only what is not decided elsewhere', async () => {
    const page = await fresh();
    // A field that was never asked for is not drawn.
    const shows = key => part(page, `field-${key}`).evaluateAll(found => found.some(field => !field.closest('.field').hidden));
    assert.equal(await shows('eval_steps'), false, 'nothing is evaluated');
    await part(page, 'field-eval_strategy').selectOption('steps');
    await until('how often to evaluate', () => shows('eval_steps'), 20);
    assert.equal(await shows('warmup_ratio'), true);
    await part(page, 'field-warmup_steps').evaluate(field => {
      field.value = '10';
      field.dispatchEvent(new Event('input', { bubbles: true }));
    });
    await until('the ratio to go', async () => !await shows('warmup_ratio'), 20);
  });

  await t.test('says where a template is not the model\'s own', async () => {
    const page = await fresh();
    await tick(page, 'identity').check();
    await problems(0)(page);
    assert.equal(await part(page, 'warnings').innerText(), '');
    await part(page, 'field-template').selectOption('llama3');
    await until('the warning', async () => /own chat template/.test(await part(page, 'warnings').innerText()), 20);
    await problems(0)(page);
    noComplaints(page);
  });

  await t.test('takes a model on a hub, and says why it cannot be had', async () => {
    const page = await fresh();
    await part(page, 'field-model_name_or_path').selectOption('…');
    await part(page, 'model-path').fill('models/absent');
    await tick(page, 'identity').check();
    await problems(1)(page);
    await part(page, 'model-path').fill('owner/model-chat');
    await problems(0)(page);
    await part(page, 'launch').click();
    await page.waitForURL(/\/runs\/[^/]+$/);
    await until('the end', async () => await part(page, 'state').first().getAttribute('data-state') === 'failed', 60);
    assert.match(await page.innerText('main'), /owner\/model-chat.*the Hugging Face Hub/s);
    noComplaints(page);
  });

  await t.test('talks to a model on a hub, if it can be had', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/chat`);
    await hydrated(page);
    await part(page, 'chat-target').selectOption('hub:');
    await part(page, 'chat-hub').fill('owner/model');
    await part(page, 'load').click();
    await part(page, 'chat-status').and(page.locator('[data-state="failed"]')).waitFor();
    assert.match(await part(page, 'chat-status').innerText(), /owner\/model.*the Hugging Face Hub/s);
    noComplaints(page);
  });
});
