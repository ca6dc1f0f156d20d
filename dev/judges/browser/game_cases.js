'use strict';
// The game: players see each other, one comes late, one leaves badly, one is slow, the server goes away and comes back.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const WebSocket = require('ws');
const { Target } = require('../node/target');
const { Lane } = require('./lane');

const PLAYERS_MAX = 64;
// A page that was sent away comes back within twenty seconds, and may be sent away once more.
const PATIENCE_MS = 90_000;
const KEY = { ArrowRight: 8, ArrowLeft: 4 };

const serve = (world, place = '127.0.0.1:0', ...more) => Target.start(world.binary, ['serve', '--listen', place, ...more]);

/** Opens the game under a name, and waits until its player is there. */
async function enter(world, place, name, look) {
  const person = await world.people.come(look);
  await person.context.addInitScript((name) => localStorage.setItem('sotong.name', name), name);
  await person.page.goto(`${place}/game`);
  await plays(person);
  await sees(person, name);
  return person;
}

/** Waits until the server has told the page which player it is. */
const plays = ({ page }) => page.waitForFunction(() => {
  const { you } = document.querySelector('#arena').dataset;
  return document.querySelector('#state').dataset.state === 'open' && you !== undefined && you !== '255';
}, undefined, { timeout: PATIENCE_MS });

const row = ({ page }, name) => page.locator('#players tr').filter({ hasText: name });
const sees = (person, name) => row(person, name).waitFor();
const seesNoMore = (person, name) => row(person, name).waitFor({ state: 'detached' });

const placeOf = (person, name) => row(person, name).evaluate(({ dataset }) => ({ x: Number(dataset.x), y: Number(dataset.y) }));

/** Waits until `name` is so far from where it was, in the eyes of `person`. */
async function seesMoved(person, name, from, least = 40) {
  await person.page.waitForFunction(([name, from, least]) => {
    const row = [...document.querySelectorAll('#players tr')].find((each) => each.textContent.includes(name));
    return row && Math.hypot(row.dataset.x - from.x, row.dataset.y - from.y) >= least;
  }, [name, from, least]);
}

/** The key that leads away from the nearer wall. */
const inwards = ({ x }) => (x < 500 ? 'ArrowRight' : 'ArrowLeft');

/** Holds a key in `mover` until `witness` has seen it move. */
async function movesByKey(mover, witness, name, keys = {}) {
  const from = await placeOf(witness, name);
  const key = keys[inwards(from)] ?? inwards(from);
  await mover.page.keyboard.down(key);
  await seesMoved(witness, name, from);
  await mover.page.keyboard.up(key);
}

/** A player without a page. */
async function player(target, name) {
  const socket = new WebSocket(`${target.ws}/game`);
  socket.on('error', () => {});
  await once(socket, 'open');
  socket.say = (name) => socket.send(Buffer.concat([Buffer.of(0x11), Buffer.from(name)]));
  socket.say(name);
  return socket;
}

/** Runs `play` with a server of its own, which is gone afterwards, and with the people who came. */
const alone = (play, ...options) => async (world) => {
  const own = { ...world, target: await serve(world, '127.0.0.1:0', ...options), came: [] };
  own.enter = async (name, look, place = own.target.http) => {
    const person = await enter(world, place, name, look);
    own.came.push(person);
    return person;
  };
  try {
    await play(own);
  } finally {
    // First the pages: they complain of a server that is gone.
    await Promise.all(own.came.map((person) => person.leaves()));
    own.target.kill();
  }
};

module.exports = [
  ['two players see each other move, one by arrows and one by letters', alone(async (own) => {
    const ada = await own.enter('Ada');
    const bo = await own.enter('보라');
    await sees(ada, '보라');
    await sees(bo, 'Ada');
    await movesByKey(ada, bo, 'Ada');
    await movesByKey(bo, ada, '보라', { ArrowRight: 'KeyD', ArrowLeft: 'KeyA' });
    await ada.page.locator('#latency').filter({ hasText: /\d ms/ }).waitFor();
    const drawn = await ada.page.locator('#canvas').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    assert.ok(drawn > 10, `something is drawn: ${drawn} colours`);
  })],
  ['who joins late sees everybody, with their gems and their new names', alone(async (own) => {
    const ada = await own.enter('Ada');
    const bots = await Promise.all(['one', 'two', 'three'].map((name) => player(own.target, name)));
    await sees(ada, 'three');
    await ada.page.getByLabel('Your name').fill('<b>Ada</b> Lovelace');
    await ada.page.getByRole('button', { name: 'Rename' }).click();
    const late = await own.enter('Late');
    for (const name of ['one', 'two', 'three', '<b>Ada</b> Lovelace']) await sees(late, name);
    assert.equal(await late.page.locator('#players b').count(), 0, 'a name is text');
    await sees(ada, 'Late');
    bots.forEach((bot) => bot.terminate());
    for (const name of ['one', 'two', 'three']) await seesNoMore(late, name);
  })],
  ['who is gone without a word disappears for the others', alone(async (own) => {
    const ada = await own.enter('Ada');
    const lane = await Lane.open(own.target.port);
    try {
      const cut = await own.enter('Cut', {}, lane.http);
      const closed = await enter(own, own.target.http, 'Closed');
      await sees(ada, 'Cut');
      await sees(ada, 'Closed');
      // With a key held: nobody lets go of it any more.
      await closed.page.keyboard.down('ArrowLeft');
      await closed.leaves();
      await seesNoMore(ada, 'Closed');
      cut.serverIsAway = true;
      lane.close();
      await seesNoMore(ada, 'Cut');
      await cut.isDisconnected();
    } finally {
      lane.close();
    }
  })],
  ['a finger on the pad moves a player, and lets go', alone(async (own) => {
    const ada = await own.enter('Ada');
    const thumb = await own.enter('Thumb', { width: 390, height: 844, hasTouch: true });
    await sees(ada, 'Thumb');
    const from = await placeOf(ada, 'Thumb');
    const pad = thumb.page.locator('#pad');
    await pad.scrollIntoViewIfNeeded();
    const scrolled = await thumb.page.evaluate(() => scrollY);
    const box = await pad.boundingBox();
    const side = inwards(from) === 'ArrowRight' ? 0.85 : 0.15;
    const point = (part) => [{ x: box.x + box.width * part, y: box.y + box.height / 2 }];
    const fingers = await thumb.context.newCDPSession(thumb.page);
    const touch = (type, touchPoints) => fingers.send('Input.dispatchTouchEvent', { type, touchPoints });
    await touch('touchStart', point(0.5));
    await touch('touchMove', point(side));
    await seesMoved(ada, 'Thumb', from);
    await touch('touchEnd', []);
    await thumb.page.locator('#pad[data-keys=""]').waitFor();
    const said = thumb.sentBytes.filter(([kind]) => kind === 0x12);
    assert.deepEqual(said.map(([, keys]) => keys), [KEY[inwards(from)], 0], 'pressed, and let go');
    assert.equal(await thumb.page.evaluate(() => scrollY), scrolled, 'the page did not scroll under the finger');
  })],
  ['the panel shows the frames in bytes and in words, and the lines by hand work', alone(async (own) => {
    const ada = await own.enter('Ada');
    const delta = ada.page.locator('#frames .frame-in', { hasText: / B19 00/ }).last();
    await delta.waitFor();
    await ada.page.locator('#pause').click();
    await delta.locator('summary').click();
    assert.match(await delta.locator('.frame-pretty').textContent(), /kind: "delta"\ntick: \d/);
    await ada.page.evaluate(await ada.page.locator('#code').textContent());
    await sees(ada, 'by hand');
  })],
  ['the example of the document means the same in the page', alone(async (own) => {
    const ada = await own.enter('Ada');
    const document = fs.readFileSync(path.join(__dirname, '../../../docs/game.md'), 'utf8');
    const examples = [...document.matchAll(/```hex\n(.*?)```\s*```json\n(.*?)```/gs)];
    assert.ok(examples.length >= 3, 'the document has examples');
    for (const [, hex, json] of examples) {
      const bytes = hex.replace(/#.*$/gm, '').match(/[0-9a-f]{2}/g).map((digits) => Number.parseInt(digits, 16));
      const decoded = await ada.page.evaluate(async (bytes) => (await import('/arena_wire.js')).decode(Uint8Array.from(bytes).buffer), bytes);
      assert.deepEqual(decoded, JSON.parse(json));
    }
  })],
  ['the server is restarted, and both come back by themselves', async (world) => {
    let target = await serve(world);
    const people = [];
    try {
      const ada = await enter(world, target.http, 'Ada');
      const bo = await enter(world, target.http, 'Bo');
      people.push(ada, bo);
      await sees(ada, 'Bo');
      people.forEach((person) => (person.serverIsAway = true));
      assert.equal(await target.stop(), 0);
      await Promise.all(people.map((person) => person.isDisconnected()));
      target = await serve(world, target.authority);
      await Promise.all(people.map((person) => person.isConnected()));
      await Promise.all(people.map(plays));
      await movesByKey(ada, bo, 'Ada');
      await movesByKey(bo, ada, 'Bo');
    } finally {
      await Promise.all(people.map((person) => person.leaves()));
      target.kill();
    }
  }],
  ['a page that is slow holds nobody up, and knows everything again', alone(async (own) => {
    const lane = await Lane.open(own.target.port);
    // Whoever is told of a new name at every tick has much to read.
    const crowd = await Promise.all(Array.from({ length: 16 }, (_, number) => player(own.target, `bot ${number}`)));
    let round = 0;
    const talking = setInterval(() => {
      round += 1;
      crowd.forEach((bot, number) => bot.say(`bot ${number}, and this is ${round}`));
    }, 50);
    try {
      const quick = await own.enter('Quick');
      const slow = await own.enter('Slow', {}, lane.http);
      await sees(quick, 'Slow');
      const tick = (person) => person.page.locator('#arena').evaluate(({ dataset }) => Number(dataset.tick));
      // It may be given up in the meantime; then it comes back.
      slow.serverIsAway = true;
      lane.block();
      const before = await tick(quick);
      await lane.until('frames are left out', async () => {
        const text = await (await fetch(own.target.metrics)).text();
        return /^sotong_published_skipped_total [1-9]/m.test(text);
      });
      const during = await tick(quick);
      assert.ok(during > before, 'the quick one goes on');
      lane.unblock();
      await slow.page.waitForFunction((tick) => Number(document.querySelector('#arena').dataset.tick) > tick, during, { timeout: PATIENCE_MS });
      await plays(slow);
      await sees(slow, 'Quick');
      await movesByKey(slow, quick, 'Slow');
      await movesByKey(quick, slow, 'Quick');
      const anew = quick.sentBytes.filter(([kind]) => kind === 0x14);
      assert.deepEqual(anew, [], 'the quick one has missed nothing');
    } finally {
      clearInterval(talking);
      crowd.forEach((bot) => bot.terminate());
      await Promise.all(own.came.splice(0).map((person) => person.leaves()));
      lane.close();
    }
  }, '--metrics', '127.0.0.1:0')],
  ['an arena that is full says so, and lets in when there is room', alone(async (own) => {
    const bots = [];
    for (let number = 0; number < PLAYERS_MAX; number += 1) bots.push(await player(own.target, `bot ${number}`));
    const watching = new WebSocket(`${own.target.ws}/game`);
    await new Promise((resolve) => watching.on('message', (data) => data[0] === 0x18 && data.length > PLAYERS_MAX * 10 && resolve()));
    const late = await own.people.come();
    own.came.push(late);
    await late.page.goto(`${own.target.http}/game`);
    await late.page.locator('#news').filter({ hasText: 'The arena is full' }).waitFor();
    bots[7].terminate();
    await plays(late);
    watching.terminate();
    bots.forEach((bot) => bot.terminate());
  })],
  ['the game over wss, with a certificate that the server made itself', async (world) => {
    const target = await serve(world, '127.0.0.1:0', '--tls-self-signed');
    const people = [];
    try {
      const place = `https://${target.authority}`;
      for (const name of ['Ada', 'Bo']) people.push(await enter(world, place, name, { ignoreHTTPSErrors: true }));
      const [ada, bo] = people;
      await sees(ada, 'Bo');
      await movesByKey(ada, bo, 'Ada');
    } finally {
      await Promise.all(people.map((person) => person.leaves()));
      target.kill();
    }
  }],
];
