'use strict';
// A lane to the server that can be blocked. In Python: Node cannot make the kernel's buffers small, and a large one holds
// minutes of prices.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');
const { within } = require('../node/cases');

class Lane {
  /** Opens a port that leads to `port`. */
  static async open(port) {
    const lane = new Lane();
    lane.child = spawn('python3', [path.join(__dirname, 'lane.py'), String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = await within(20_000, 'the port of the lane', once(readline.createInterface({ input: lane.child.stdout }), 'line'));
    lane.http = `http://127.0.0.1:${line}`;
    return lane;
  }

  /** Takes nothing more from the server. */
  block() {
    this.child.stdin.write('block\n');
  }

  unblock() {
    this.child.stdin.write('unblock\n');
  }

  /** Waits for something that only asking tells. */
  async until(what, is) {
    const asking = async () => {
      while (!(await is())) await new Promise((resolve) => setTimeout(resolve, 100));
    };
    await within(90_000, what, asking());
  }

  close() {
    this.child.kill('SIGKILL');
  }
}

module.exports = { Lane };
