'use strict';
// Someone at a browser: a page in a context of its own, so that nobody shares storage, and a record of what went wrong.

const DEADLINE_MS = 30_000;

class People {
  constructor(browser) {
    this.browser = browser;
    this.all = [];
  }

  /** A new person with an empty browser. */
  async come({ width = 1280, height = 800, locale = 'en-US', colorScheme = 'light', ignoreHTTPSErrors = false, hasTouch = false } = {}) {
    const context = await this.browser.newContext({ viewport: { width, height }, locale, colorScheme, ignoreHTTPSErrors, hasTouch });
    const person = new Person(context);
    await person.watch();
    this.all.push(person);
    return person;
  }

  /** What the consoles, the scripts and the content policies of all pages complained about. */
  complaints() {
    return this.all.flatMap((person) => person.complaints);
  }
}

class Person {
  constructor(context) {
    this.context = context;
    this.complaints = [];
    /** Frames of every WebSocket of the page, in order: {direction: 'sent' | 'received', text}. */
    this.frames = [];
    /** Those of bytes that the page has sent. */
    this.sentBytes = [];
    /** While the server is away, a browser may say that it cannot reach it. */
    this.serverIsAway = false;
  }

  async watch() {
    this.page = await this.context.newPage();
    this.page.setDefaultTimeout(DEADLINE_MS);
    this.page.on('pageerror', (error) => this.complaints.push(`script: ${error.message}`));
    this.page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      if (this.serverIsAway && /^WebSocket connection to .* failed/.test(message.text())) return;
      this.complaints.push(`console: ${message.text()}`);
    });
    this.page.on('response', (response) => {
      if (response.status() >= 400) this.complaints.push(`${response.status()}: ${response.url()}`);
    });
    this.page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => typeof payload !== 'string' && this.sentBytes.push(payload));
      socket.on('framesent', ({ payload }) => this.frames.push({ direction: 'sent', text: String(payload) }));
      socket.on('framereceived', ({ payload }) => this.frames.push({ direction: 'received', text: String(payload) }));
    });
    await this.page.exposeBinding('tellOfViolation', (_source, what) => this.complaints.push(`content policy: ${what}`));
    await this.page.addInitScript(() => {
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => {
        globalThis.tellOfViolation(`${violatedDirective} ${blockedURI} ${sourceFile}:${lineNumber}`);
      });
    });
  }

  /** Opens the chat, takes a name and waits until the hub shows it. */
  async enterChat(target, name, room = 'lobby') {
    await this.page.goto(`${target.http}/chat?room=${encodeURIComponent(room)}`);
    await this.isConnected();
    await this.page.getByLabel('Your name').fill(name);
    await this.page.getByLabel('Your name').press('Enter');
    await this.sees(name);
  }

  async isConnected() {
    await this.page.locator('#state[data-state="open"]').waitFor();
  }

  async isDisconnected() {
    await this.page.locator('#state:not([data-state="open"])').waitFor();
  }

  /** Waits until `name` is in the list of who is here. */
  async sees(name) {
    await this.page.locator('#people').getByRole('listitem').filter({ hasText: name }).waitFor();
  }

  async seesNoMore(name) {
    await this.page.locator('#people').getByRole('listitem').filter({ hasText: name }).waitFor({ state: 'detached' });
  }

  async says(text) {
    await this.page.getByRole('textbox', { name: 'Say something' }).fill(text);
    await this.page.getByRole('button', { name: 'Send' }).click();
  }

  /** Waits until a message with exactly this text is shown. */
  async reads(text) {
    await this.page.getByRole('log').getByText(text, { exact: true }).waitFor();
  }

  async leaves() {
    await this.context.close();
  }
}

module.exports = { People };
