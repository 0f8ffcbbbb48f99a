// Chromium through playwright-core, and how tests find things on a page.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A browser that closes with test `t`; `flags`: further ones for its command line. */
export async function open(t, ...flags) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: [...FLAGS, ...flags], headless: true });
  t.after(() => browser.close());
  return browser;
}

/** A page of its own session; errors in it fail the test when it ends. */
export async function pageOf(t, browser, options = {}) {
  const context = await browser.newContext({ locale: 'en-US', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints = [];
  page.on('console', message => {
    // The browser reports by itself that a connection was cut or left, and that the server refused something; some
    // tests see to that.
    const cut = /WebSocket connection|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|loading was aborted|Failed to fetch|status of 4\d\d/;
    if (['error', 'warning'].includes(message.type()) && !cut.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', error => complaints.push(error.message));
  page.complaints = complaints;
  return page;
}

/** The element that the app marks with `data-test`. */
export const part = (page, name) => page.locator(`[data-test="${name}"]`);

export const noComplaints = page => assert.deepEqual(page.complaints, []);

/** Whether the app has taken the page over. */
export const hydrated = page => page.waitForFunction(() => document.documentElement.dataset.hydrated === 'true');
