// The form of a new run, filled in as a user would.
import assert from 'node:assert/strict';
import { hydrated, part } from './browser.mjs';

/** Fills the form and launches a run on the bundled model; answers with its id. `fields`: values by argument. */
export async function launch(page, board, name, fields) {
  await fill(page, board, name, fields);
  await part(page, 'launch').click();
  await page.waitForURL(/\/runs\/[^/]+$/);
  return new URL(page.url()).pathname.split('/').at(-1);
}

/** The same, without the launch. */
export async function fill(page, board, name, fields) {
  await page.goto(`${board.url}/new`);
  await hydrated(page);
  await part(page, 'field-model_name_or_path').selectOption('models/wick');
  await page.locator('input[name="dataset"][value="identity"]').check();
  await part(page, 'run-name').fill(name);
  const open = value => page.evaluate(value => {
    for (const fold of document.querySelectorAll('form details')) fold.open = value;
  }, value);
  await open(true);
  for (const [key, value] of Object.entries(fields)) await part(page, `field-${key}`).fill(`${value}`);
  await open(false);
  await part(page, 'form-state').and(page.locator('[data-problems="0"]')).waitFor();
  const yaml = await part(page, 'yaml').innerText();
  assert.match(yaml, /model_name_or_path: models\/wick\n/);
  for (const key of ['max_steps', 'num_train_epochs'].filter(key => key in fields)) {
    assert.match(yaml, new RegExp(`${key}: ${fields[key]}\\b`), 'the preview follows the form');
  }
}
