'use strict';
// Whether everybody can use the pages: axe-core, which others wrote, looks at each of them, in both colour schemes and
// languages; and fingers find what they are to touch.

const assert = require('node:assert/strict');
const axe = require('axe-core');

const FINGER_PX = 40;

/** The pages, and what to wait for before one looks. */
const PAGES = [
  ['home', '', '#answer:not(:empty)'],
  ['chat', 'chat', '#people li'],
  ['ticker', 'ticker', '#frames .frame:nth-child(50)'],
  ['game', 'game', '#players tr[data-you="true"]'],
];

async function open(world, [name, place, sign], look) {
  const person = await world.people.come(look);
  await person.page.goto(`${world.target.http}/${place}`);
  await person.isConnected();
  await person.page.locator(sign).first().waitFor({ state: 'attached' });
  if (name === 'chat') {
    const text = person.page.locator('#text');
    await text.fill('Can everybody read this?');
    await text.press('Enter');
    await person.page.locator('.own').last().waitFor();
  }
  return person;
}

async function isClean({ page }, what) {
  // By the debugger's way in: the content policy of the page lets no other script in.
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    // What is on its way from one colour to another has neither.
    await Promise.all(document.getAnimations().filter(({ effect }) => effect.getTiming().iterations === 1).map(({ finished }) => finished.catch(() => {})));
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, impact, nodes }) => `${impact}: ${id}: ${nodes.map(({ target, any }) => `${target} ${any[0]?.message ?? ''}`).slice(0, 3).join('; ')}`);
  });
  assert.deepEqual(violations, [], what);
}

/** What is to be pressed and is smaller than a finger. A word inside a sentence is not meant. */
function tooSmall(least) {
  const wanted = 'a[href], button, input, textarea, summary, [role="button"]';
  return [...document.querySelectorAll(wanted)].filter((element) => {
    const { width, height } = element.getBoundingClientRect();
    return element.checkVisibility({ visibilityProperty: true }) && width > 0 && (height < least - 0.5 || width < least - 0.5);
  }).map((element) => {
    const { width, height } = element.getBoundingClientRect();
    return `${element.outerHTML.slice(0, 80)} ${Math.round(width)}×${Math.round(height)}`;
  });
}

const cases = [];
for (const page of PAGES) {
  for (const [colorScheme, locale] of [['light', 'en-US'], ['dark', 'ko-KR']]) {
    cases.push([`${page[0]}, ${colorScheme}, ${locale}: axe finds nothing`, async (world) => {
      const person = await open(world, page, { colorScheme, locale });
      await isClean(person, page[0]);
      await person.leaves();
    }]);
  }
  cases.push([`${page[0]} at 390 px: axe finds nothing, and a finger finds everything`, async (world) => {
    const person = await open(world, page, { width: 390, height: 844, hasTouch: true });
    await isClean(person, page[0]);
    assert.deepEqual(await person.page.evaluate(tooSmall, FINGER_PX), []);
    for (const tab of await person.page.locator('#tabs button').all()) {
      await tab.click();
      await isClean(person, `${page[0]}: ${await tab.textContent()}`);
      assert.deepEqual(await person.page.evaluate(tooSmall, FINGER_PX), []);
    }
    await person.leaves();
  }]);
}

module.exports = cases;
