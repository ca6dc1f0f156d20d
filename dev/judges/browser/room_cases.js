'use strict';
// The chat in the small: names that change, rooms that are made on a phone, syllables that are being composed, and `wss`.

const assert = require('node:assert/strict');
const { Target } = require('../node/target');

const PHONE = { width: 390, height: 844, hasTouch: true };

const notes = ({ page }) => page.locator('.note').allTextContents();
const box = ({ page }) => page.getByRole('textbox', { name: 'Say something' });

/** Messages that the page has sent, in order. */
const said = ({ frames }) => frames.filter(({ direction, text }) => direction === 'sent' && text.includes('"publish"')).map(({ text }) => JSON.parse(text).publish.data.text);

module.exports = [
  ['a new name is told as a new name', async ({ people, target }) => {
    const ada = await people.come();
    await ada.enterChat(target, 'Ada', 'names');
    const bo = await people.come();
    await bo.enterChat(target, 'Bo', 'names');
    await ada.sees('Bo');
    await bo.says('under the first name');
    await ada.reads('under the first name');
    await bo.page.getByLabel('Your name').fill('<i>Robert</i>');
    await bo.page.getByLabel('Your name').press('Enter');
    await ada.page.getByText('Bo is now <i>Robert</i>', { exact: true }).waitFor();
    await bo.says('under the second name');
    await ada.reads('under the second name');
    const told = await notes(ada);
    assert.ok(!told.includes('Bo left') && !told.includes('<i>Robert</i> came in'), told.join(' | '));
    assert.deepEqual(await ada.page.locator('.who').allTextContents(), ['Bo', '<i>Robert</i>'], 'each name above what was said under it');
    await bo.leaves();
    await ada.page.getByText('<i>Robert</i> left', { exact: true }).waitFor();
    await ada.leaves();
  }],
  ['a new room on a phone', async ({ people, target }) => {
    const { page, ...person } = await people.come(PHONE);
    await page.goto(`${target.http}/chat`);
    await page.locator('#state[data-state="open"]').waitFor();
    const form = page.locator('#new-room');
    assert.equal(await form.isVisible(), false, 'the form waits until it is asked for');
    const add = page.getByRole('button', { name: 'New room' });
    await add.tap();
    await page.keyboard.press('Escape');
    await form.waitFor({ state: 'hidden' });
    assert.equal(await add.evaluate((button) => document.activeElement === button), true, 'who goes back is where they were');
    await page.keyboard.press('Enter');
    await form.waitFor();
    await page.keyboard.type('오징어 #방');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: '오징어 방' }).waitFor({ state: 'attached' });
    await page.locator('#rooms a[aria-current]').filter({ hasText: '오징어 방' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('room'), '오징어 방');
    // Where one is now, and ready to say something.
    await page.keyboard.type('nobody else here');
    await page.keyboard.press('Enter');
    await page.getByRole('log').getByText('nobody else here').waitFor();
    await person.context.close();
  }],
  ['Enter ends a syllable that is being composed, and sends after that', async ({ people, target }) => {
    const person = await people.come();
    await person.enterChat(target, 'Composer', 'syllables');
    await box(person).focus();
    const keyboard = await person.context.newCDPSession(person.page);
    for (const text of ['ㅎ', '하', '한']) await keyboard.send('Input.imeSetComposition', { text, selectionStart: 1, selectionEnd: 1 });
    // As an input method says it: an Enter that is its own.
    await keyboard.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 229 });
    await box(person).evaluate((text) => text.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })));
    assert.equal(await box(person).inputValue(), '한', 'what is being written stays');
    await keyboard.send('Input.insertText', { text: '한글' });
    await person.page.keyboard.press('Shift+Enter');
    await keyboard.send('Input.insertText', { text: '둘째 줄' });
    await person.page.keyboard.press('Enter');
    await person.page.locator('.body').filter({ hasText: '둘째 줄' }).waitFor();
    assert.deepEqual(said(person), ['한글\n둘째 줄']);
    await person.leaves();
  }],
  ['the whole chat by keyboard', async ({ people, target }) => {
    const person = await people.come();
    const { page } = person;
    await page.goto(`${target.http}/chat?room=keys`);
    await person.isConnected();
    const passed = [];
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press('Tab');
      const { name, isMarked } = await page.evaluate(() => {
        const { activeElement: active } = document;
        const { outlineStyle, outlineWidth } = getComputedStyle(active);
        const name = active.id || active.textContent || active.tagName;
        return { name, isMarked: active === document.body || (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) > 0) };
      });
      assert.ok(isMarked, `one sees that ${name} has the focus`);
      if (passed.includes(name)) break;
      passed.push(name);
    }
    const order = ['new-room-name', 'name', 'messages', 'text', 'send', 'pause', 'clear', 'frames', 'copy'];
    assert.deepEqual(passed.filter((name) => order.includes(name)), order);
    await person.leaves();
  }],
  ['three hundred messages, long names and many rooms', async ({ people, target }) => {
    const person = await people.come({ width: 390, height: 844 });
    const { page, context } = person;
    const long = 'Wolfeschlegelsteinhausen'.slice(0, 24);
    await context.addInitScript((name) => {
      localStorage.setItem('sotong.name', name);
      localStorage.setItem('sotong.rooms', JSON.stringify(['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(40))));
    }, long);
    await page.goto(`${target.http}/chat?room=crowd`);
    await person.isConnected();
    // Somebody without a page, as fast as the server takes it.
    await page.evaluate((url) => new Promise((resolve, reject) => {
      const socket = new WebSocket(`${url}/ws?sub=chat:crowd`);
      let sent = 0;
      const next = () => socket.send(JSON.stringify({ id: (sent += 1), publish: { channel: 'chat:crowd', data: { text: `number ${sent}` } } }));
      socket.onopen = next;
      socket.onmessage = ({ data }) => {
        const reply = JSON.parse(data);
        if (reply.error) reject(new Error(data));
        if (reply.id !== sent || sent === 0) return;
        if (sent < 320) next();
        else resolve(socket.close());
      };
    }), target.ws);
    await person.reads('number 320');
    const [kept, first] = await page.getByRole('log').evaluate((log) => [log.childElementCount, log.querySelector('.message .body').textContent]);
    assert.ok(kept <= 300, `${kept} entries are kept`);
    assert.notEqual(first, 'number 1', 'the oldest went');
    const rest = await page.getByRole('log').evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
    assert.ok(rest < 60, `the newest is in sight: ${rest} px below`);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    await person.leaves();
  }],
  ['the chat over wss, with a certificate that the server made itself', async (world) => {
    const target = await Target.start(world.binary, ['serve', '--listen', '127.0.0.1:0', '--tls-self-signed']);
    const secure = { http: `https://${target.authority}` };
    const came = [];
    try {
      for (const name of ['Ada', '보라']) {
        const person = await world.people.come({ ignoreHTTPSErrors: true });
        came.push(person);
        await person.enterChat(secure, name);
      }
      const [ada, bo] = came;
      await ada.sees('보라');
      await ada.says('암호화된 안녕');
      await bo.reads('암호화된 안녕');
      assert.match(await ada.page.locator('#code').textContent(), /"wss:\/\//);
    } finally {
      // First the pages: they complain of a server that is gone.
      await Promise.all(came.map((person) => person.leaves()));
      target.kill();
    }
  }],
];
