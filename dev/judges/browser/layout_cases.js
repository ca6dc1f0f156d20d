'use strict';
// How the pages look at both widths, light and dark, in both languages; and that nothing went wrong on any page.

const assert = require('node:assert/strict');
const path = require('node:path');

const LONG = 'w'.repeat(400);

/** Elements that reach out of the viewport and that no scrolling parent holds. */
function tooWide() {
  const width = document.documentElement.clientWidth;
  const held = (element) => {
    for (let parent = element.parentElement; parent && parent !== document.body; parent = parent.parentElement) {
      if (getComputedStyle(parent).overflowX !== 'visible') return true;
    }
    return false;
  };
  const reaching = [...document.body.querySelectorAll('*')].filter((element) => {
    const { right, left, width: own } = element.getBoundingClientRect();
    return own > 0 && (right > width + 1 || left < -1) && !held(element);
  });
  const page = document.documentElement.scrollWidth > width ? [`the page itself: ${document.documentElement.scrollWidth} px`] : [];
  return [...page, ...reaching.map((element) => element.outerHTML.slice(0, 120))];
}

// What is called good: https://web.dev/articles/cls. While a page shows itself in English first, it is 0.1 to 0.6.
const SHIFT_MAX = 0.1;

/** Adds up what moves without having been pressed. */
function watchShifts() {
  globalThis.shifted = 0;
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries()) globalThis.shifted += hadRecentInput ? 0 : value;
  }).observe({ type: 'layout-shift', buffered: true });
}

async function fitsAndIsKept(world, person, name) {
  const { page } = person;
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: path.join(world.screenshots, `${name}.png`), fullPage: true });
  const wide = await page.evaluate(tooWide);
  assert.deepEqual(wide, [], `${name} is wider than the window`);
}

const looks = [];
for (const width of [1280, 390]) {
  for (const colorScheme of ['light', 'dark']) {
    const look = { width, height: width === 390 ? 844 : 800, colorScheme };
    looks.push([`the first page at ${width} px, ${colorScheme}`, async (world) => {
      const person = await world.people.come(look);
      await person.page.goto(world.target.http);
      await person.isConnected();
      await fitsAndIsKept(world, person, `home-${width}-${colorScheme}`);
      await person.leaves();
    }]);
    looks.push([`the prices at ${width} px, ${colorScheme}`, async (world) => {
      const person = await world.people.come(look);
      await person.page.goto(`${world.target.http}/ticker`);
      await person.isConnected();
      // A chart with something in it.
      await person.page.waitForFunction(() => document.querySelectorAll('#frames .frame').length > 100);
      await fitsAndIsKept(world, person, `ticker-${width}-${colorScheme}`);
      await person.leaves();
    }]);
    looks.push([`the game at ${width} px, ${colorScheme}`, async (world) => {
      const person = await world.people.come(look);
      await person.page.goto(`${world.target.http}/game`);
      await person.isConnected();
      // Somebody is in it, and the server has answered.
      await person.page.locator('#players tr[data-you="true"]').waitFor();
      await person.page.locator('#latency').filter({ hasText: /\d ms/ }).waitFor();
      await fitsAndIsKept(world, person, `game-${width}-${colorScheme}`);
      await person.leaves();
    }]);
    looks.push([`the chat at ${width} px, ${colorScheme}`, async (world) => {
      const person = await world.people.come(look);
      await person.page.goto(`${world.target.http}/chat`);
      await person.isConnected();
      await person.reads('We are back');
      const long = `${width}, ${colorScheme}: ${LONG}`;
      await person.says(long);
      await person.reads(long);
      await fitsAndIsKept(world, person, `chat-${width}-${colorScheme}`);
      // A narrow window shows one panel at a time.
      for (const tab of ['People', 'Frames']) {
        const button = person.page.locator('#tabs').getByRole('button', { name: tab });
        if (!(await button.isVisible())) continue;
        await button.click();
        await fitsAndIsKept(world, person, `chat-${tab.toLowerCase()}-${width}-${colorScheme}`);
      }
      await person.leaves();
    }]);
  }
}

module.exports = [
  ...looks,
  ...[['home', ''], ['chat', 'chat'], ['ticker', 'ticker'], ['game', 'game']].flatMap(([name, place]) => [1280, 390].map((width) => [
    `${name} in Korean at ${width} px`, async (world) => {
      const person = await world.people.come({ width, height: width === 390 ? 844 : 800, locale: 'ko-KR' });
      await person.page.addInitScript(watchShifts);
      await person.page.goto(`${world.target.http}/${place}`);
      await person.isConnected();
      assert.equal(await person.page.evaluate(() => document.documentElement.lang), 'ko');
      const shifted = await person.page.evaluate(() => globalThis.shifted);
      assert.ok(shifted < SHIFT_MAX, `the page moves under the eyes of who reads it: ${shifted}`);
      await person.page.locator('#languages').getByRole('button', { name: 'English' }).click();
      assert.equal(await person.page.evaluate(() => document.documentElement.lang), 'en');
      await person.page.locator('#languages').getByRole('button', { name: '한국어' }).click();
      if (place === 'chat') await person.reads('We are back');
      await fitsAndIsKept(world, person, `${name}-${width}-korean`);
      await person.leaves();
    },
  ])),
  ['pages come with a strict content policy', async ({ target }) => {
    for (const place of ['/', '/chat', '/ticker', '/game']) {
      const response = await fetch(`${target.http}${place}`);
      const policy = response.headers.get('content-security-policy') ?? '';
      assert.match(policy, /default-src 'none'|default-src 'self'/, policy);
      assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/, policy);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    }
  }],
  ['no console, script or content policy complained on any page', async ({ people }) => {
    assert.deepEqual(people.complaints(), []);
  }],
];
