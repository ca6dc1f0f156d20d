'use strict';
// A script of docs/guide, run in a page as somebody who reads the guide runs it: pasted into a page of the server that it
// talks to. What it writes to the console is compared with the file that the guide shows.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { within } = require('../node/cases');
const { Target } = require('../node/target');

const FOLDER = path.join(__dirname, '../../../docs/guide');
const DEADLINE_MS = 30_000;

/** A file of the guide. */
const read = (name) => fs.readFileSync(path.join(FOLDER, name), 'utf8');

/** Its lines. */
const lines = (name) => read(name).trimEnd().split('\n');

/** Starts an example of the library, at a port that is free. */
async function start(world, example) {
  const target = await Target.start(path.join(world.examples, example), ['127.0.0.1:0']);
  target.said = new Lines('the server');
  let rest = '';
  target.child.stdout.on('data', (data) => {
    const said = (rest + data).split('\n');
    rest = said.pop();
    said.forEach((line) => target.said.push(line));
  });
  return target;
}

/** Lines that come one by one. */
class Lines {
  #arrived = [];

  constructor(who) {
    this.who = who;
    this.all = [];
  }

  push(line) {
    this.all.push(line);
    this.#arrived.splice(0).forEach((wake) => wake());
  }

  /** Waits until what came is `enough`. */
  async until(what, enough) {
    const waiting = async () => {
      while (!enough(this.all)) await new Promise((resolve) => this.#arrived.push(resolve));
    };
    await within(DEADLINE_MS, what, waiting()).catch((error) => {
      throw new Error(`${error.message}; ${this.who} said: ${this.all.join(' | ')}`);
    });
  }

  /** Waits for as many lines as are expected, and compares. */
  async are(expected) {
    await this.until(`${expected.length} lines`, (all) => all.length >= expected.length);
    assert.deepEqual(this.all, expected);
  }
}

class Script {
  /** Runs `name` in a page of `place`, with its addresses replaced: the guide's are fixed, a test's are not. */
  static async run(world, name, place, { replaced = {}, ignoreHTTPSErrors = false } = {}) {
    const context = await world.browser.newContext({ ignoreHTTPSErrors });
    const page = await context.newPage();
    page.setDefaultTimeout(DEADLINE_MS);
    const script = new Script(context);
    page.on('console', (message) => message.type() === 'log' && script.console.push(message.text()));
    page.on('pageerror', (error) => script.console.push(`not caught: ${error.message}`));
    await page.goto(place);
    let text = read(name);
    for (const [from, to] of Object.entries(replaced)) {
      assert.ok(text.includes(from), `${name} has no ${from}`);
      text = text.replaceAll(from, to);
    }
    await page.addScriptTag({ type: 'module', content: text });
    return script;
  }

  constructor(context) {
    this.context = context;
    this.console = new Lines('the console');
  }

  async close() {
    await this.context.close();
  }
}

module.exports = { Script, lines, read, start };
