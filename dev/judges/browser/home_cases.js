'use strict';
// The first page: it leads to the others, and shows a connection of its own.

const assert = require('node:assert/strict');

async function open({ target, people }, look) {
  const person = await people.come(look);
  await person.page.goto(target.http);
  await person.isConnected();
  return person;
}

const rows = ({ page }, kind) => page.locator(`#line .line-${kind}`);

module.exports = [
  ['it leads to the chat, the prices and the game', async (world) => {
    for (const [name, place] of [['Chat', 'chat'], ['Prices', 'ticker'], ['Game', 'game']]) {
      const person = await open(world);
      await person.page.getByRole('main').getByRole('link', { name }).click();
      await person.page.waitForURL(`**/${place}*`);
      await person.isConnected();
      await person.leaves();
    }
  }],
  ['all of it is in one screen', async (world) => {
    for (const locale of ['en-US', 'ko-KR']) {
      const person = await open(world, { locale });
      assert.equal(await person.page.evaluate(() => document.documentElement.scrollHeight), 800, locale);
      await person.leaves();
    }
  }],
  ['the server speaks first, then the page, and both when they are asked to', async (world) => {
    const person = await open(world);
    const { page } = person;
    await page.locator('#answer').filter({ hasText: /\d ms/ }).waitFor();
    const shown = await rows(person, 'frame').locator('.line-what').allTextContents();
    assert.deepEqual(shown.slice(2).map((text) => Object.keys(JSON.parse(text))), [['id', 'ping'], ['id', 'ping']]);
    assert.match(shown[1], /"connect"/);
    await page.getByRole('button', { name: 'Speak' }).click();
    await rows(person, 'out').nth(2).waitFor();
    await page.getByRole('button', { name: 'Listen' }).click();
    await page.locator('#answer').filter({ hasText: 'They came by themselves' }).waitFor();
    assert.ok((await rows(person, 'in').filter({ hasText: '"pub"' }).count()) >= 4, 'prices that nobody asked for one by one');
    await person.leaves();
  }],
  ['the page closes it, and opens another', async (world) => {
    const person = await open(world);
    const { page } = person;
    await page.getByRole('button', { name: 'Close' }).click();
    await rows(person, 'event').filter({ hasText: 'close 1000' }).waitFor();
    await page.locator('#state[data-state="closed"]').filter({ hasText: 'Closed (1000)' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Speak' }).isDisabled(), true);
    await page.getByRole('button', { name: 'Connect again' }).click();
    await person.isConnected();
    await page.locator('#answer').filter({ hasText: /\d ms/ }).waitFor();
    await person.leaves();
  }],
];
