'use strict';
// The page with prices: it moves without being asked, answers what it is asked, and falls behind without holding up others.

const assert = require('node:assert/strict');
const { Target } = require('../node/target');
const { Lane } = require('./lane');

// So that orders come soon, and there is a place where what was left out is counted.
const SERVE = ['serve', '--ask-interval', '1', '--metrics', '127.0.0.1:0'];

async function open(world, target, look) {
  const person = await world.people.come(look);
  await person.page.goto(`${target.http}/ticker`);
  await person.isConnected();
  return person;
}

const prices = (page) => page.locator('#quotes .price').allTextContents();

/** Waits until every symbol has a price, and then until some have moved. */
async function moves(page) {
  await page.waitForFunction(() => [...document.querySelectorAll('#quotes .price')].every((price) => /\d/.test(price.textContent)));
  const before = await prices(page);
  await page.waitForFunction((before) => [...document.querySelectorAll('#quotes .price')].some((price, index) => price.textContent !== before[index]), before);
}

async function serve(world, place = '127.0.0.1:0') {
  const target = await Target.start(world.binary, [...SERVE, '--listen', place]);
  return target;
}

async function metric(target, name) {
  const text = await (await fetch(target.metrics)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line ? Number(line.split(' ')[1]) : 0;
}

module.exports = [
  ['prices move without being asked', async (world) => {
    const person = await open(world, world.target);
    assert.equal(await person.page.locator('#quotes tr').count(), 12);
    await moves(person.page);
    assert.deepEqual(person.frames.filter(({ direction }) => direction === 'sent'), [], 'the page said nothing');
    // By keyboard: the next symbol, and its chart.
    await person.page.getByRole('button', { name: /MARU/ }).focus();
    await person.page.keyboard.press('Enter');
    await person.page.locator('#chart-heading').filter({ hasText: 'MARU' }).waitFor();
    assert.ok(await person.page.locator('#chart').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value !== 0);
    }), 'something is drawn');
    await person.leaves();
  }],
  ['an order is confirmed, one declined, one not answered, one too late', async (world) => {
    const target = await serve(world);
    try {
      const person = await open(world, target);
      const { page } = person;
      const state = (name) => page.locator(`.order[data-state="${name}"]`).first();
      await page.locator('.order[data-state="asked"]').first().getByRole('button', { name: 'Confirm' }).click();
      await page.waitForFunction(() => document.querySelector('.order[data-state="filled"], .order[data-state="moved"]'));
      await page.locator('.order[data-state="asked"]').first().getByRole('button', { name: 'Decline' }).click();
      await state('declined').waitFor();
      await state('expired').waitFor();
      // As a page that was held up would: the answer to an order that has expired.
      const asked = person.frames.map(({ text }) => text).find((text) => text.startsWith('{"ask"'));
      const expired = person.frames.filter(({ text }) => text.includes('"state":"expired"')).map(({ text }) => JSON.parse(text).push.message.data.order);
      const late = person.frames.map(({ text }) => text).filter((text) => text.startsWith('{"ask"')).map((text) => JSON.parse(text).ask).find(({ data }) => expired.includes(data.order));
      assert.ok(asked && late, 'there was an ask that expired');
      const answered = await page.evaluate(([url, ask]) => new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => socket.send(JSON.stringify({ answer: { id: ask.id, data: { accept: true } } }));
        socket.onmessage = ({ data }) => data.includes('"answered"') && resolve(JSON.parse(data).answered);
      }), [`${target.ws}/ws`, late]);
      assert.equal(answered.error.code, 107, 'on another connection it is nobody\'s');
      await person.leaves();
    } finally {
      target.kill();
    }
  }],
  ['a page that falls behind gets the newest prices, and others do not suffer', async (world) => {
    const target = await serve(world);
    const lane = await Lane.open(target.port);
    const people = [];
    try {
      const quick = await open(world, target);
      people.push(quick);
      const slow = await open(world, lane);
      people.push(slow);
      await moves(slow.page);
      lane.block();
      await lane.until('prices are left out', async () => (await metric(target, 'sotong_published_skipped_total')) >= 20);
      await moves(quick.page);
      assert.equal(await quick.page.locator('#skipped').textContent(), '', 'the quick one misses nothing');
      lane.unblock();
      await slow.page.waitForFunction(() => /[1-9]/.test(document.querySelector('#skipped').textContent));
      await moves(slow.page);
    } finally {
      // First the pages: they complain of a server that is gone.
      await Promise.all(people.map((person) => person.leaves()));
      lane.close();
      target.kill();
    }
  }],
  ['the server is restarted, and the prices come back by themselves', async (world) => {
    let target = await serve(world);
    try {
      const people = [await open(world, target), await open(world, target)];
      await Promise.all(people.map(({ page }) => moves(page)));
      people.forEach((person) => (person.serverIsAway = true));
      await target.stop();
      await Promise.all(people.map((person) => person.isDisconnected()));
      target = await serve(world, target.authority);
      await Promise.all(people.map(async (person) => {
        await person.isConnected();
        await moves(person.page);
        await person.leaves();
      }));
    } finally {
      target.kill();
    }
  }],
  ['prices over wss, with a certificate that the server made itself', async (world) => {
    const target = await Target.start(world.binary, ['serve', '--listen', '127.0.0.1:0', '--tls-self-signed']);
    try {
      const person = await world.people.come({ ignoreHTTPSErrors: true });
      await person.page.goto(`https://${target.authority}/ticker`);
      await person.isConnected();
      await moves(person.page);
      await person.leaves();
    } finally {
      target.kill();
    }
  }],
];
