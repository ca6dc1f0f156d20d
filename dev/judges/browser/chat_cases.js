'use strict';
// Two people meet, talk, lose the server, and find each other again.

const assert = require('node:assert/strict');
const { Target } = require('../node/target');

const MARKUP = '<script>globalThis.broken = 1</script><img src=x onerror="globalThis.broken = 2"><b>bold</b>';

module.exports = [
  ['two people see each other', async (world) => {
    world.ada = await world.people.come();
    world.bo = await world.people.come();
    await world.ada.enterChat(world.target, 'Ada');
    await world.bo.enterChat(world.target, '보라');
    await world.ada.sees('보라');
    await world.bo.sees('Ada');
  }],
  ['the server speaks first', async ({ ada }) => {
    assert.equal(ada.frames[0].direction, 'received');
    assert.ok(JSON.parse(ada.frames[0].text).push.connect, ada.frames[0].text);
  }],
  ['the server speaks first, to a page that never sends', async ({ ada, target }) => {
    const first = await ada.page.evaluate((url) => new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.onmessage = ({ data }) => {
        resolve(data);
        socket.close();
      };
      socket.onclose = ({ code }) => reject(new Error(`closed with ${code} before the first frame`));
    }), `${target.ws}/ws`);
    assert.ok(JSON.parse(first).push.connect, first);
  }],
  ['what one types the other reads', async ({ ada, bo }) => {
    await ada.says('Hello from Ada');
    await bo.reads('Hello from Ada');
    await bo.says('안녕하세요, 소통입니다 🦑');
    await ada.reads('안녕하세요, 소통입니다 🦑');
    // Each sees its own as well, by way of the server.
    await ada.reads('Hello from Ada');
  }],
  ['markup is shown as the text it is', async ({ ada, bo }) => {
    await ada.says(MARKUP);
    for (const person of [ada, bo]) {
      await person.reads(MARKUP);
      assert.equal(await person.page.evaluate(() => globalThis.broken), undefined);
      assert.equal(await person.page.getByRole('log').locator('script, img, b').count(), 0);
    }
  }],
  ['markup in a name is text too', async ({ people, target, ada }) => {
    const mallory = await people.come();
    await mallory.enterChat(target, '<img src=x onerror=1>');
    await ada.sees('<img src=x onerror=1>');
    await mallory.leaves();
    await ada.seesNoMore('<img src=x onerror=1>');
  }],
  ['the panel of frames shows what passes', async ({ ada, bo }) => {
    await bo.says('seen as a frame');
    await ada.page.locator('#frames').getByText('seen as a frame').first().waitFor();
  }],
  ['who joins later finds the last messages, in order', async (world) => {
    const late = await world.people.come();
    await late.enterChat(world.target, 'Late');
    await late.reads('Hello from Ada');
    await late.reads('안녕하세요, 소통입니다 🦑');
    const texts = await late.page.getByRole('log').locator('.body').allTextContents();
    assert.ok(texts.indexOf('Hello from Ada') < texts.indexOf(MARKUP), texts.join(' | '));
    await late.leaves();
    await world.ada.seesNoMore('Late');
  }],
  ['another room is another room', async ({ ada, bo, people, target }) => {
    const elsewhere = await people.come();
    await elsewhere.enterChat(target, 'Elsewhere', 'ideas');
    await elsewhere.says('only in ideas');
    await elsewhere.reads('only in ideas');
    // What Bo says after that reaches Ada, so what was said in the other room would have come before it.
    await bo.says('after the other room');
    await ada.reads('after the other room');
    assert.equal(await ada.page.getByRole('log').getByText('only in ideas').count(), 0);
    await elsewhere.leaves();
  }],
  ['the server ends, and the pages notice', async ({ ada, bo, target }) => {
    ada.serverIsAway = true;
    bo.serverIsAway = true;
    assert.equal(await target.stop(), 0);
    await ada.isDisconnected();
    await bo.isDisconnected();
  }],
  ['the server starts again on the same port, and the pages come back by themselves', async (world) => {
    world.target = await Target.start(world.binary, ['serve', '--listen', world.target.authority]);
    const { ada, bo } = world;
    await ada.isConnected();
    await bo.isConnected();
    await ada.sees('보라');
    await bo.sees('Ada');
    await ada.says('We are back');
    await bo.reads('We are back');
    await bo.says('So we are');
    await ada.reads('So we are');
    ada.serverIsAway = false;
    bo.serverIsAway = false;
  }],
];
