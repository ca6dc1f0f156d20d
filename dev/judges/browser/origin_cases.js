'use strict';
// Who may connect: the server's own pages and programs without an origin, but no page from elsewhere.

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const WebSocket = require('ws');
const { Raw } = require('../node/raw');

/** A page that tries to connect to `url` and writes into its title how that went. */
const strangerPage = (url) => `<!doctype html><title>trying</title><link rel="icon" href="data:,"><script>
const socket = new WebSocket(${JSON.stringify(url)});
socket.onopen = () => { document.title = "open"; };
socket.onclose = ({ code, wasClean }) => { document.title = "closed " + code + (wasClean ? " clean" : " unclean"); };
</script>`;

const refusedHead = (name, headers) => [name, async ({ target }) => {
  const raw = await Raw.connect(target);
  raw.write(raw.request(headers, { path: '/ws' }));
  assert.equal((await raw.head()).status, 403);
  raw.destroy();
}];

module.exports = [
  ['a page of another origin is refused', async ({ target, browser }) => {
    const stranger = http.createServer((_request, response) => {
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.end(strangerPage(`${target.ws}/ws`));
    });
    stranger.listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    // Not one of `people`: its console will complain, and should.
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${stranger.address().port}/`);
    await page.waitForFunction(() => document.title !== 'trying');
    assert.equal(await page.title(), 'closed 1006 unclean');
    await page.close();
    stranger.closeAllConnections();
    stranger.close();
  }],
  ['a program without an origin is accepted', async ({ target }) => {
    const socket = new WebSocket(`${target.ws}/ws`);
    const [data] = await once(socket, 'message');
    assert.ok(JSON.parse(data.toString()).push.connect);
    socket.terminate();
  }],
  ['the page\'s own origin is accepted', async ({ target }) => {
    const socket = new WebSocket(`${target.ws}/ws`, { origin: target.http });
    await once(socket, 'open');
    socket.terminate();
  }],
  refusedHead('the same host with another port is another origin', { Origin: 'http://127.0.0.1:1' }),
  refusedHead('the origin null is refused', { Origin: 'null' }),
  // A page of evil.example whose name was pointed at this machine (DNS rebinding): origin and host agree.
  refusedHead('a host that nobody named is refused', { Host: 'evil.example', Origin: 'http://evil.example' }),
];
