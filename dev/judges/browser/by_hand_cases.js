'use strict';
// The lines that the pages show do what the pages say of them: they are run in a place of the same origin that has no
// script of ours.

const assert = require('node:assert/strict');
const { Target } = require('../node/target');

/** The lines that a page shows. */
async function linesOf({ people }, place) {
  const person = await people.come();
  await person.page.goto(place);
  const lines = await person.page.locator('#code').textContent();
  await person.leaves();
  return lines;
}

/** Runs `lines` beside the pages; returns whoever runs them, and what they write into the console. */
async function run({ people }, http, lines) {
  const person = await people.come();
  const written = [];
  person.page.on('console', (message) => written.push(message.text()));
  await person.page.goto(`${http}/favicon.svg`);
  await person.page.evaluate(lines);
  const until = async (what, is) => {
    while (!written.some(is)) {
      await person.page.waitForEvent('console').catch((error) => {
        throw new Error(`${what}: ${written.join(' | ')}: ${error.message}`);
      });
    }
  };
  return { person, until };
}

module.exports = [
  ['the first page: it says something and is answered', async (world) => {
    const { http } = world.target;
    const { person, until } = await run(world, http, await linesOf(world, http));
    await until('the first words', (text) => text.includes('"connect"'));
    await until('the answer', (text) => text === '{"id":1,"ping":{}}');
    assert.equal(person.frames.filter(({ direction }) => direction === 'sent').length, 1);
    await person.leaves();
  }],
  ['the chat: it arrives', async (world) => {
    const { http } = world.target;
    const ada = await world.people.come();
    // A name with everything that an address and a string have to write in another way.
    await ada.enterChat(world.target, 'Ada', 'by hand & "quoted" 100%');
    const { person, until } = await run(world, http, await ada.page.locator('#code').textContent());
    await ada.reads('Hello, by hand');
    await until('what it said comes back to it', (text) => text.includes('"pub"') && text.includes('Hello, by hand'));
    await person.leaves();
    await ada.leaves();
  }],
  ['the prices: they come, and an order is confirmed', async (world) => {
    const target = await Target.start(world.binary, ['serve', '--listen', '127.0.0.1:0', '--ask-interval', '1']);
    const lines = await linesOf(world, `${target.http}/ticker`);
    const { person, until } = await run(world, target.http, lines);
    try {
      for (const symbol of ['MARU', 'BADA']) await until(symbol, (text) => new RegExp(`^ticker:${symbol} \\d`).test(text));
      const framesOf = (wanted, part) => person.frames.some(({ direction, text }) => direction === wanted && text.includes(part));
      while (!framesOf('received', '"state":"filled"') && !framesOf('received', '"state":"moved"')) {
        await person.page.waitForEvent('console'); // a price, of which there are many
      }
      assert.ok(framesOf('sent', '"accept":true'));
    } finally {
      await person.leaves();
      target.kill();
    }
  }],
];
