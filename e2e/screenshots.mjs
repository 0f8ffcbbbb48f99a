// Makes the pictures in docs/ from the real thing: node e2e/screenshots.mjs
import { fileURLToPath } from 'node:url';
import { Board, until } from './board.mjs';
import { open, pageOf, part } from './browser.mjs';
import { fill, launch } from './form.mjs';

const ends = [];
const t = { after: end => ends.push(end) };
const picture = name => fileURLToPath(new URL(`../docs/screenshot-${name}.png`, import.meta.url));

try {
  const board = await Board.start(t);
  const browser = await open(t);
  const page = await pageOf(t, browser, { viewport: { width: 1280, height: 860 }, colorScheme: 'light' });
  const dark = await pageOf(t, browser, { viewport: { width: 1280, height: 860 }, colorScheme: 'dark' });

  await fill(page, board, 'Who are you?', { num_train_epochs: 15 });
  await page.evaluate(() => { document.activeElement.blur(); window.scrollTo(0, 0); });
  await until('the check', async () => (await part(page, 'form-state').innerText()) !== 'Checking…', 10);
  await page.screenshot({ path: picture('new') });

  await launch(page, board, 'Who are you?', { num_train_epochs: 15, per_device_train_batch_size: 2 });
  await until('some of the curve', async () => Number(await part(page, 'chart').getAttribute('data-points')) > 330, 300);
  await page.screenshot({ path: picture('run') });
  await until('the end', async () => await part(page, 'state').first().getAttribute('data-state') === 'finished', 600);

  await dark.goto(`${board.url}/chat?target=${new URL(page.url()).pathname.split('/').at(-1)}`);
  await part(dark, 'load').click();
  await part(dark, 'chat-status').and(dark.locator('[data-state="ready"]')).waitFor();
  const answered = async count => await part(dark, 'message').count() === count && part(dark, 'regenerate').isVisible();
  for (const [index, question] of ['Who are you?', 'Who made you?'].entries()) {
    await part(dark, 'chat-input').fill(question);
    await part(dark, 'send').click();
    await until('the answer', () => answered(2 * index + 2), 120);
  }
  await dark.screenshot({ path: picture('chat') });
} finally {
  for (const end of ends.reverse()) await end();
}
