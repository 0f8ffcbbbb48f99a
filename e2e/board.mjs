// A Chandler server of a test's own: real binary, free port, folders that are gone afterwards.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));

/** A port of this machine that nothing listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Polls until `probe` answers something true; fails after `seconds` with what was waited for. */
export async function until(what, probe, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await sleep(50);
  }
}

export class Board {
  /** Starts a server; `t` is the test that it ends with. */
  static async start(t, ...options) {
    const board = new Board();
    t.after(() => board.remove());
    board.folder = mkdtempSync(join(tmpdir(), 'chandler-e2e-'));
    for (const name of ['models/wick', 'data']) cpSync(join(root, name), join(board.folder, name), { recursive: true });
    board.port = await freePort();
    board.url = `http://127.0.0.1:${board.port}`;
    board.options = options;
    await board.restart();
    return board;
  }

  /** Starts the server (again), on the same port and folders. */
  async restart() {
    const log = openSync(join(this.folder, 'server.log'), 'a');
    const args = ['webui', '--host', '127.0.0.1', '--port', `${this.port}`, ...this.options];
    this.process = spawn(process.env.CHANDLER ?? join(root, 'target/debug/chandler'), args, {
      cwd: this.folder,
      env: { ...process.env, LEPTOS_SITE_ROOT: process.env.LEPTOS_SITE_ROOT ?? join(root, 'target/site') },
      stdio: ['ignore', log, log],
    });
    await until('the server to answer', async () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended:\n${this.log()}`);
      return fetch(`${this.url}/healthz`).then(answer => answer.ok, () => false);
    });
  }

  log() {
    return readFileSync(join(this.folder, 'server.log'), 'utf8');
  }

  /** Kills the server as the system would when memory runs out: nothing can be tidied up. */
  async kill() {
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }

  /** Ends the server and the workers it leaves behind, by their ids, and removes the folder. */
  async remove() {
    if (this.process && this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    const runs = join(this.folder, 'runs');
    for (const id of existsSync(runs) ? readdirSync(runs) : []) {
      const pid = this.workerOf(id);
      if (pid && readFileSafe(`/proc/${pid}/cmdline`).includes(id)) process.kill(pid, 'SIGKILL');
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** Process id of the worker that last took the run's folder. */
  workerOf(id) {
    const note = readFileSafe(join(this.folder, 'runs', id, 'worker.lock'));
    return Number(note.split(' ')[0]) || null;
  }

  /** What the worker wrote: whole lines only, it may be writing now. */
  events(id) {
    const text = readFileSafe(join(this.folder, 'runs', id, 'events.jsonl'));
    return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean).map(line => JSON.parse(line));
  }
}

function readFileSafe(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Points that count: those after the step that a later attempt started from are void. */
export function pointsOf(events) {
  let points = [];
  for (const event of events) {
    if (event.type === 'start') points = points.filter(point => point.step <= event.start_step);
    if (event.type === 'point') points.push({ step: event.step, loss: event.loss });
  }
  return points;
}
