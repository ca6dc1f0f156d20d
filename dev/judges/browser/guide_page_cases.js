'use strict';
// The pages that the guide's chat, prices and game come with.

const assert = require('node:assert/strict');
const { within } = require('../node/cases');
const { start } = require('./guide_script');
const { Lane } = require('./lane');

const DEADLINE_MS = 30_000;

/** Plays with an example and as many windows of its page as are asked for, each in a browser of its own. */
async function withWindows(world, example, paths, play) {
  const target = await start(world, example);
  const contexts = [];
  const complaints = [];
  const open = async (url, look) => {
    const context = await world.browser.newContext({ viewport: { width: 800, height: 700 }, ...look });
    contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(DEADLINE_MS);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await page.goto(url);
    return page;
  };
  try {
    const pages = [];
    for (const path of paths) pages.push(await open(target.http + path));
    await play(pages, target, open);
    assert.deepEqual(complaints, [], 'no script and no console complained');
  } finally {
    await Promise.all(contexts.map((context) => context.close()));
    target.kill();
  }
}

/** Types a line and sends it. */
async function says(page, text) {
  await page.getByRole('textbox').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

/** Waits until the last line of the chat is this. */
const reads = (page, text) => page.waitForFunction((text) => document.querySelector('li:last-child')?.textContent === text, text);

/** Waits until the game has drawn a player of this number near a place; both as the server counts. */
const isAt = (page, id, what) => page.waitForFunction(([id, what]) => {
  const place = globalThis.places?.get(id);
  return what === 'gone' ? globalThis.places && !place : place && new Function('x', 'y', `return ${what}`)(...place);
}, [id, what]);

module.exports = [
  ['chat: two meet in a room, a third is in another, one goes', (world) => withWindows(world, 'guide_chat', ['/tea', '/tea', '/coffee'], async ([ada, bo, cleo], target) => {
    await says(ada, 'Ada');
    await reads(ada, 'Ada came');
    await says(bo, '보라');
    await Promise.all([reads(ada, '보라 came'), reads(bo, '보라 came')]);
    await says(cleo, 'Cleo');
    await says(cleo, 'is anybody here?');
    await reads(cleo, 'Cleo: is anybody here?');
    await says(ada, '<b>안녕</b>');
    await Promise.all([reads(ada, 'Ada: <b>안녕</b>'), reads(bo, 'Ada: <b>안녕</b>')]);
    assert.equal(await bo.locator('li b').count(), 0, 'what somebody writes is text');
    const lines = await ada.locator('li').allTextContents();
    assert.ok(!lines.some((line) => line.includes('Cleo')), 'another room is another room');
    await bo.context().close();
    await reads(ada, '보라 went');
    target.child.kill('SIGINT');
    await reads(ada, 'closed: 1001 the server shuts down');
  })],
  ['prices: they move in every window', (world) => withWindows(world, 'guide_prices', ['/', '/'], async (pages) => {
    for (const page of pages) {
      await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 4);
      assert.deepEqual((await page.locator('tbody th').allTextContents()).sort(), ['BADA', 'GAON', 'MARU', 'SOL']);
      const before = await page.locator('tbody tr').first().locator('td').first().textContent();
      assert.match(before, /^\d+\.\d\d$/);
      await page.waitForFunction((before) => document.querySelector('tbody td').textContent !== before, before);
    }
  })],
  ['prices: a window that falls behind is told what it missed, and others miss nothing', (world) => withWindows(world, 'guide_prices', ['/'], async ([quick], target, open) => {
    const lane = await Lane.open(target.port);
    try {
      const slow = await open(lane.http);
      await slow.waitForFunction(() => document.querySelectorAll('tbody tr').length === 4);
      const skips = () => slow.locator('tbody td:nth-child(3)').allTextContents();
      // How long the kernel keeps what nobody takes is its own business, so each try is longer than the one before.
      let changes = 100;
      const skipped = async () => {
        lane.block();
        for (let seen = 0; seen < changes; seen += 1) {
          const before = await quick.locator('tbody td').first().textContent();
          await quick.waitForFunction((before) => document.querySelector('tbody td').textContent !== before, before);
        }
        const before = await slow.locator('tbody td').first().textContent();
        lane.unblock();
        await slow.waitForFunction((before) => document.querySelector('tbody td').textContent !== before, before);
        changes *= 2;
        return (await skips()).some((count) => Number(count) > 0);
      };
      const anySkipped = async () => {
        while (!(await skipped()));
      };
      await within(200_000, 'something to be left out', anySkipped());
      assert.deepEqual(await quick.locator('tbody td:nth-child(3)').allTextContents(), ['', '', '', '']);
      await slow.close();
    } finally {
      lane.close();
    }
  })],
  ['game: two see each other move, by key and by finger, and one disappears', (world) => withWindows(world, 'guide_game', [], async (_none, target, open) => {
    const play = async (look) => {
      const page = await open('about:blank', look);
      // Another socket of the same page would be another player, so what the page itself hears is listened to.
      await page.addInitScript(() => {
        const Native = WebSocket;
        globalThis.WebSocket = class extends Native {
          constructor(...args) {
            super(...args);
            this.addEventListener('message', ({ data }) => {
              if (typeof data === 'string') {
                globalThis.me = Number(data);
              } else {
                const bytes = new Uint8Array(data);
                globalThis.places = new Map();
                for (let at = 0; at < bytes.length; at += 3) globalThis.places.set(bytes[at], [bytes[at + 1], bytes[at + 2]]);
              }
            });
          }
        };
      });
      await page.goto(target.http);
      await page.waitForFunction(() => globalThis.me !== undefined);
      return page;
    };
    const ada = await play();
    const bo = await play({ hasTouch: true });
    assert.deepEqual([await ada.evaluate('me'), await bo.evaluate('me')], [0, 1]);
    await Promise.all([isAt(ada, 1, 'x === 128'), isAt(bo, 0, 'x === 128')]);
    await ada.keyboard.down('ArrowLeft');
    await ada.keyboard.down('ArrowUp');
    await Promise.all([isAt(ada, 0, 'x === 0 && y === 0'), isAt(bo, 0, 'x === 0 && y === 0')]);
    await ada.keyboard.up('ArrowUp');
    await ada.keyboard.up('ArrowLeft');
    // Held in the lower right corner.
    const box = await bo.locator('canvas').boundingBox();
    await bo.mouse.move(box.x + box.width - 20, box.y + Math.min(box.height, 600) - 20);
    await bo.mouse.down();
    await isAt(ada, 1, 'x === 255');
    await bo.mouse.up();
    assert.ok(await ada.locator('canvas').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value !== 0);
    }), 'something is drawn');
    await bo.context().close();
    await isAt(ada, 1, 'gone');
    await isAt(ada, 0, 'x === 0 && y === 0');
  })],
];
