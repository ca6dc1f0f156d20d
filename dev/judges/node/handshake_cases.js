'use strict';
// Requests from a raw socket: what is accepted, and with which status the rest is refused (RFC 6455, section 4.2).

const assert = require('node:assert/strict');
const { OPCODE, Raw, frame } = require('./raw');

/** Sends a request with changed headers and wants `status`. */
const refused = (name, status, headers, options) => [`${name} is refused with ${status}`, async ({ target }) => {
  const raw = await Raw.connect(target);
  raw.write(raw.request(headers, options));
  const head = await raw.head();
  assert.equal(head.status, status);
  if (status === 426) {
    assert.equal(head.headers['sec-websocket-version'], '13');
    assert.match(head.headers.upgrade ?? '', /websocket/i);
  }
  raw.destroy();
}];

/** Sends a request with changed headers and wants an echo. */
const accepted = (name, headers, options) => [`${name} is accepted`, async ({ target }) => {
  const raw = await Raw.connect(target);
  raw.write(raw.request(headers, options));
  assert.equal((await raw.head()).status, 101);
  raw.write(frame(OPCODE.text, 'hello'));
  assert.equal((await raw.frame()).payload.toString(), 'hello');
  raw.destroy();
}];

module.exports = [
  accepted('a request without Origin', {}),
  accepted('Connection with several words, in any case', { Connection: 'keep-alive, uPGRADE', Upgrade: 'WebSocket' }),
  accepted('a path with a query', {}, { path: '/anything?a=1&b=2' }),
  refused('version 8', 426, { 'Sec-WebSocket-Version': '8' }),
  refused('a plain page request', 426, { Upgrade: undefined, Connection: undefined, 'Sec-WebSocket-Key': undefined, 'Sec-WebSocket-Version': undefined }),
  refused('a request without a key', 400, { 'Sec-WebSocket-Key': undefined }),
  refused('a key of the wrong length', 400, { 'Sec-WebSocket-Key': 'c2hvcnQ=' }),
  refused('a key that is not base64', 400, { 'Sec-WebSocket-Key': '************************' }),
  refused('a request without Host', 400, { Host: undefined }),
  refused('POST', 405, {}, { method: 'POST' }),
  refused('a head of 64 KiB', 431, { 'X-Long': 'x'.repeat(1 << 16) }),
  refused('a page of another origin', 403, { Origin: 'http://evil.example' }),
  ['frames sent together with the request are answered', async ({ target }) => {
    const raw = await Raw.open(target, { early: frame(OPCODE.text, 'early') });
    assert.equal((await raw.frame()).payload.toString(), 'early');
    raw.destroy();
  }],
  ['a request byte by byte is accepted', async ({ target }) => {
    const raw = await Raw.connect(target);
    raw.socket.setNoDelay(true);
    for (const byte of Buffer.from(raw.request())) {
      await new Promise((resolve) => raw.socket.write(Buffer.from([byte]), resolve));
    }
    assert.equal((await raw.head()).status, 101);
    raw.destroy();
  }],
  ['compression is not accepted when it is not there', async ({ target }) => {
    const raw = await Raw.connect(target);
    raw.write(raw.request({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }));
    const head = await raw.head();
    assert.equal(head.status, 101);
    assert.equal(head.headers['sec-websocket-extensions'], undefined);
    raw.destroy();
  }],
  ['garbage is refused with 400', async ({ target }) => {
    const raw = await Raw.connect(target);
    raw.write('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS, or worse\r\n\r\n');
    assert.equal((await raw.head()).status, 400);
    raw.destroy();
  }],
];
