// The pages of data sets: the list, rows, tokens, lengths, and the check of all rows.
import assert from 'node:assert/strict';
import { createWriteStream, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { Board, until } from './board.mjs';
import { hydrated, noComplaints, open, pageOf, part } from './browser.mjs';

const ROWS = [
  { instruction: 'Who are you?', output: 'I am Wick.' },
  { instruction: 3, output: 'x' },
  ...Array.from({ length: 40 }, (_, n) => ({ instruction: `Question ${n}?`, output: `Answer ${n}. `.repeat(1 + n % 7) })),
];

test('data sets', async t => {
  const board = await Board.start(t);
  const browser = await open(t);
  const data = name => join(board.folder, 'data', name);
  const info = JSON.parse(readFileSync(data('dataset_info.json'), 'utf8'));
  const write = entries => writeFileSync(data('dataset_info.json'), JSON.stringify({ ...info, ...entries }, null, 2));
  writeFileSync(data('mine.jsonl'), ROWS.map(row => JSON.stringify(row)).join('\n'));
  write({ mine: { file_name: 'mine.jsonl' }, astray: { file_name: '../../etc/passwd' } });
  const row = (page, name) => part(page, 'dataset').and(page.locator(`[data-name="${name}"]`));

  await t.test('are listed and shown without script', async () => {
    const page = await pageOf(t, browser, { javaScriptEnabled: false });
    await page.goto(`${board.url}/datasets`);
    assert.match(await row(page, 'mine').innerText(), /mine\.jsonl.*alpaca.*42/s);
    assert.match(await row(page, 'alpaca_en').innerText(), /llamafactory\/alpaca_en/);
    assert.match(await row(page, 'astray').innerText(), /leaves the data folder/);
    await row(page, 'mine').locator('a').click();
    assert.equal(await part(page, 'row').count(), 20);
    assert.match(await part(page, 'turn').first().innerText(), /Who are you\?/);
    assert.match(await part(page, 'row').nth(1).innerText(), /instruction.*should be a text/s);
    assert.match(await part(page, 'truncated').innerText(), /No row is longer/);
    assert.match(await part(page, 'range').innerText(), /Rows 1 to 20 of 42/);
    await part(page, 'jump').fill('40');
    await part(page, 'jump-go').click();
    assert.match(await part(page, 'range').innerText(), /Rows 40 to 42 of 42/);
    await page.goBack();
    await part(page, 'page-after').click();
    assert.match(await part(page, 'turn').first().innerText(), /Question 18\?/);
    await part(page, 'view-raw').click();
    assert.match(await part(page, 'raw').first().innerText(), /"instruction": "Question 18\?"/);
    await part(page, 'show-tokens').first().click();
    assert.match(await part(page, 'token-text').innerText(), /Question 18\?/);
  });

  await t.test('show which tokens count', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/datasets/mine`);
    await hydrated(page);
    await part(page, 'show-tokens').first().click();
    await part(page, 'token-text').waitFor();
    const text = async css => (await part(page, 'token-text').locator(css).allTextContents()).join('');
    assert.match(await text('.token.trained'), /^I am Wick\./);
    assert.match(await text('.token:not(.trained)'), /Who are you\?/);
    assert.doesNotMatch(await text('.token:not(.trained)'), /I am Wick/);
    noComplaints(page);
  });

  await t.test('are encoded with the settings of a run', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/datasets/mine`);
    await hydrated(page);
    await part(page, 'show-tokens').first().click();
    await part(page, 'token-text').waitFor();
    const shows = (css, wanted) => until(`${wanted} in ${css}`, async () =>
      wanted.test((await part(page, 'token-text').locator(css).allTextContents()).join('')), 20);
    await part(page, 'data-advanced').locator('summary').click();
    await part(page, 'data-train_on_prompt').click();
    await page.waitForURL(/train_on_prompt=true/);
    await shows('.token.trained', /Who are you\?/);
    await part(page, 'data-default_system').fill('Speak like a sailor.');
    await part(page, 'data-default_system').blur();
    await shows('.token', /Speak like a sailor\./);
    await part(page, 'data-stage').selectOption('pt');
    await page.waitForURL(/stage=pt/);
    await shows('.token.trained', /^Who are you\?/);
    noComplaints(page);
  });

  await t.test('say what a cutoff takes away', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/datasets/mine`);
    await hydrated(page);
    await part(page, 'data-cutoff').fill('20');
    await part(page, 'data-cutoff').blur();
    await page.waitForURL(/cutoff_len=20/);
    await part(page, 'cutoff-line').waitFor({ state: 'attached' });
    const share = Number(await part(page, 'truncated').getAttribute('data-share'));
    assert.ok(share > 0 && share <= 100, `${share} %`);
    noComplaints(page);
  });

  await t.test('are checked to their end', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/datasets/mine`);
    await hydrated(page);
    await part(page, 'check-start').click();
    await part(page, 'check-state').and(page.locator('[data-state="done"][data-bad="1"]')).waitFor();
    const problem = part(page, 'row-problem');
    assert.equal(await problem.getAttribute('data-row'), '2');
    assert.equal(await problem.getAttribute('data-key'), 'instruction');
    assert.match(await part(page, 'lengths').innerText(), /All 41 usable rows/);
    noComplaints(page);
  });

  await t.test('are uploaded, described by a guess, changed, and deleted', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/datasets`);
    await hydrated(page);
    await part(page, 'data-add').locator('summary').click();
    const rows = Array.from({ length: 3 }, (_, n) => JSON.stringify({ question: `Q ${n}?`, answer: `A ${n}.` }));
    await part(page, 'upload-file').setInputFiles({ name: 'sent.jsonl', mimeType: 'text/plain', buffer: Buffer.from(rows.join('\n')) });
    await part(page, 'upload').click();
    await page.waitForURL(/\/entry\?file=sent\.jsonl/);
    assert.equal(await part(page, 'entry-prompt').inputValue(), 'question');
    assert.equal(await part(page, 'entry-response').inputValue(), 'answer');
    await part(page, 'entry-name').fill('sent rows');
    await part(page, 'entry-save').click();
    await page.waitForURL(/\/datasets\/sent%20rows/);
    await part(page, 'turn').first().waitFor();
    assert.match(await part(page, 'turn').first().innerText(), /Q 0\?/);

    await part(page, 'edit-entry').click();
    await part(page, 'entry-prompt').fill('no_such_column');
    await part(page, 'entry-file_name').fill('../elsewhere.jsonl');
    await part(page, 'entry-save').click();
    assert.match(await part(page, 'error').innerText(), /leaves the data folder/);
    await part(page, 'entry-delete').click();
    await part(page, 'entry-delete-confirm').click();
    await page.waitForURL(`${board.url}/datasets`);
    await part(page, 'datasets-here').waitFor();
    assert.equal(await row(page, 'sent rows').count(), 0);
    assert.ok(!existsSync(data('sent.jsonl')), 'the file goes with its entry');
    // The browser reports the refusal by itself.
    assert.deepEqual(page.complaints.filter(text => !/status of 500/.test(text)), []);
  });

  await t.test('leave nothing of an upload that is cancelled', async () => {
    const page = await pageOf(t, browser);
    await page.goto(`${board.url}/datasets`);
    await hydrated(page);
    const before = readdirSync(data('.')).length;
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 500_000 });
    await part(page, 'data-add').locator('summary').click();
    const file = join(board.folder, 'slow.jsonl');
    writeFileSync(file, '{"instruction": "a", "output": "b"}\n'.repeat(300_000));
    await part(page, 'upload-file').setInputFiles(file);
    await part(page, 'upload').click();
    await until('the file to arrive in part', () => readdirSync(data('.')).length > before);
    await part(page, 'upload-cancel').click();
    assert.match(await part(page, 'error').innerText(), /Nothing of the file was kept/);
    await until('nothing of it to be left', () => readdirSync(data('.')).length === before);
    noComplaints(page);
  });

  await t.test('are found missing with 404', async () => {
    const page = await pageOf(t, browser, { javaScriptEnabled: false });
    assert.equal((await page.goto(`${board.url}/datasets/no-such`)).status(), 404);
  });

  await t.test('say where their list is broken, and leave the rest alone', async () => {
    const page = await pageOf(t, browser);
    writeFileSync(data('dataset_info.json'), '{\n  "mine": {"file_name": "mine.jsonl"},\n  "other" {}\n}\n');
    await page.goto(`${board.url}/datasets`);
    await hydrated(page);
    assert.match(await part(page, 'broken-list').innerText(), /line 3.*"other" \{\}/s);
    await page.goto(`${board.url}/chat`);
    await hydrated(page);
    assert.equal(await part(page, 'error').count(), 0);
    noComplaints(page);
    write({ mine: { file_name: 'mine.jsonl' } });
  });

  await t.test('of a gigabyte open at once', async () => {
    const file = createWriteStream(data('large.jsonl'));
    const block = `${JSON.stringify({ instruction: 'Why? '.repeat(60), output: 'So. '.repeat(120) })}\n`.repeat(1200);
    while (file.bytesWritten + file.writableLength < 1e9) if (!file.write(block)) await once(file, 'drain');
    file.end();
    await once(file, 'close');
    assert.ok(statSync(data('large.jsonl')).size >= 1e9);
    write({ large: { file_name: 'large.jsonl' }, mine: { file_name: 'mine.jsonl' } });
    const address = name => `${board.url}/api/dataset_preview?name=${name}&first=1`;
    await fetch(address('mine'));
    const resident = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${board.process.pid}/status`, 'utf8'))[1]) / 1024;
    writeFileSync(`/proc/${board.process.pid}/clear_refs`, '5');
    const before = resident();
    const start = Date.now();
    const page = await (await fetch(address('large'))).json();
    const took = Date.now() - start;
    assert.equal(page.rows.length, 20);
    const grown = resident() - before;
    t.diagnostic(`first page of 1 GB: ${took} ms, ${grown.toFixed(1)} MiB more at the peak`);
    assert.ok(took < 500 && grown < 60, `${took} ms, ${grown} MiB`);
  });
});
