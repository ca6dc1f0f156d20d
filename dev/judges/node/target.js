'use strict';
// The server under test: a child process that says in its first line where it listens.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const readline = require('node:readline');
const { within } = require('./cases');

class Target {
  /** Starts `binary` with `args` and resolves when it listens. */
  static async start(binary, args) {
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const target = new Target(child);
    try {
      const lines = readline.createInterface({ input: child.stdout });
      const first = once(lines, 'line').then(([line]) => line);
      lines.on('line', (line) => (target.metrics ??= /metrics at (\S+)/.exec(line)?.[1]));
      const line = await within(20_000, 'its first line', Promise.race([first, target.exited.then(() => '(it ended)')]));
      const address = /(?:wss?|https?):\/\/((\S+):(\d+))\/?$/.exec(line.trim());
      if (!address) throw new Error(`${binary} ${args.join(' ')}: the first line names no address: ${line}`);
      [, target.authority, target.host] = address;
      target.port = Number(address[3]);
      target.ws = `ws://${target.authority}`;
      target.http = `http://${target.authority}`;
      return target;
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  constructor(child) {
    this.child = child;
    this.exited = new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => resolve(code ?? signal));
      child.once('error', reject);
    });
    // Nobody may be waiting yet when the program cannot be started; `start` reports it.
    this.exited.catch(() => {});
  }

  /** Ends it as an operator does; resolves with the exit code. */
  async stop() {
    this.child.kill('SIGTERM');
    try {
      return await within(30_000, 'the end after SIGTERM', this.exited);
    } catch (error) {
      this.child.kill('SIGKILL');
      throw error;
    }
  }

  kill() {
    this.child.kill('SIGKILL');
  }
}

module.exports = { Target };
