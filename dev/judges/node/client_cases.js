'use strict';
// What npm `ws` does as a client: messages of every kind, fragments, pings, endings.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const WebSocket = require('ws');

async function connect(target, options = {}) {
  const socket = new WebSocket(target.ws, options);
  await once(socket, 'open');
  return socket;
}

/** Resolves with [data, isBinary] of the next message. */
const message = (socket) => once(socket, 'message');

/** Resolves with the close code when the connection has ended. */
const closed = async (socket) => (await once(socket, 'close'))[0];

/** A case that sends one message and wants it back as it was. */
const echo = (name, data) => [name, async ({ target }) => {
  const socket = await connect(target);
  socket.send(data);
  const [answer, isBinary] = await message(socket);
  assert.equal(isBinary, typeof data !== 'string');
  assert.ok(answer.equals(Buffer.from(data)), `${answer.length} bytes came back, other than the ${data.length} sent`);
  socket.close(1000);
  assert.equal(await closed(socket), 1000);
}];

/** A case that sends a message in parts. */
const fragments = (name, parts, between = async () => {}) => [name, async ({ target }) => {
  const socket = await connect(target);
  const binary = typeof parts[0] !== 'string' && !parts.isText;
  const answer = message(socket);
  for (const [index, part] of parts.entries()) {
    socket.send(part, { binary, fin: index === parts.length - 1 });
    if (index < parts.length - 1) await between(socket);
  }
  const [data, isBinary] = await answer;
  assert.equal(isBinary, binary);
  assert.ok(data.equals(Buffer.concat(parts.map((part) => Buffer.from(part)))));
  socket.terminate();
}];

/** A case in which the client says good-bye. Its code comes back; the RFC does not ask for the reason (section 5.5.1). */
const close = (name, code, reason) => [name, async ({ target }) => {
  const socket = await connect(target);
  socket.close(code, reason);
  assert.equal(await closed(socket), code ?? 1005);
}];

const korean = '소통은 양쪽으로 흐르는 이해다';
const splitCharacter = [Buffer.from('소').subarray(0, 1), Buffer.from('소').subarray(1, 2), Buffer.from('소').subarray(2)];
splitCharacter.isText = true;

module.exports = [
  echo('text', 'hello'),
  echo('empty text', ''),
  echo('Korean text', korean),
  echo('text with characters of four bytes', '🦑'.repeat(1000)),
  echo('text of 1 MiB', 'a'.repeat(1 << 20)),
  echo('Korean text of 3 MB', '통'.repeat(1_000_000)),
  echo('binary', Buffer.from([0, 1, 2, 254, 255])),
  echo('empty binary', Buffer.alloc(0)),
  echo('binary of 1 MiB', randomBytes(1 << 20)),
  ...[125, 126, 127, 65535, 65536].map((length) => echo(`binary of ${length} bytes`, randomBytes(length))),
  fragments('text in three fragments', ['one, ', 'two, ', 'three']),
  fragments('binary in 1,000 fragments', Array.from({ length: 1000 }, () => randomBytes(7))),
  fragments('a fragment may be empty', ['', 'some', '']),
  fragments('a character split over three fragments', splitCharacter),
  fragments('a ping between fragments is answered at once', ['first', 'last'], async (socket) => {
    socket.ping('between');
    const [payload] = await once(socket, 'pong');
    assert.equal(payload.toString(), 'between');
  }),
  ...['', 'ping', 'x'.repeat(125)].map((payload) => [`a ping of ${payload.length} bytes comes back`, async ({ target }) => {
    const socket = await connect(target);
    socket.ping(payload);
    const [answer] = await once(socket, 'pong');
    assert.equal(answer.toString(), payload);
    socket.terminate();
  }]),
  ['a pong that nobody asked for is ignored', async ({ target }) => {
    const socket = await connect(target);
    socket.pong('unasked');
    socket.send('still here');
    const [data] = await message(socket);
    assert.equal(data.toString(), 'still here');
    socket.terminate();
  }],
  ['2,000 messages at once come back in order', async ({ target }) => {
    const socket = await connect(target);
    const numbers = [];
    const all = new Promise((resolve) => {
      socket.on('message', (data) => {
        numbers.push(Number(data.toString()));
        if (numbers.length === 2000) resolve();
      });
    });
    for (let number = 0; number < 2000; number += 1) socket.send(String(number));
    await all;
    assert.deepEqual(numbers, Array.from({ length: 2000 }, (_, number) => number));
    socket.terminate();
  }],
  ['50 connections at once', async ({ target }) => {
    await Promise.all(Array.from({ length: 50 }, async (_, number) => {
      const socket = await connect(target);
      socket.send(`I am ${number}`);
      const [data] = await message(socket);
      assert.equal(data.toString(), `I am ${number}`);
      socket.close(1000);
      await closed(socket);
    }));
  }],
  ['a client that offers compression is served', async ({ target }) => {
    const socket = await connect(target, { perMessageDeflate: true });
    socket.send(korean);
    const [data] = await message(socket);
    assert.equal(data.toString(), korean);
    socket.terminate();
  }],
  close('close 1000 with a reason', 1000, 'done'),
  close('close 1001 with a reason', 1001, 'leaving the page'),
  close('close 3000 with a reason', 3000, 'a library says so'),
  close('close 4999 with a reason', 4999, 'the application says so'),
  close('close with a Korean reason of 123 bytes', 1000, '가'.repeat(41)),
  close('close without a code', undefined, undefined),
  ['what was sent before close comes back before it', async ({ target }) => {
    const socket = await connect(target);
    const answers = [];
    socket.on('message', (data) => answers.push(data.toString()));
    for (const word of ['one', 'two', 'three']) socket.send(word);
    socket.close(1000, 'bye');
    assert.equal(await closed(socket), 1000);
    assert.deepEqual(answers, ['one', 'two', 'three']);
  }],
  ['a client that vanishes disturbs nobody', async ({ target }) => {
    const [stays, vanishes] = [await connect(target), await connect(target)];
    vanishes.send('x'.repeat(100_000));
    vanishes.terminate();
    stays.send('still here');
    const [data] = await message(stays);
    assert.equal(data.toString(), 'still here');
    stays.terminate();
  }],
  ['a message as long as the limit comes back', async ({ limited, messageBytesMax }) => {
    const socket = await connect(limited);
    socket.send(Buffer.alloc(messageBytesMax, 7));
    const [data] = await message(socket);
    assert.equal(data.length, messageBytesMax);
    socket.terminate();
  }],
  ['a message one byte above the limit ends with 1009', async ({ limited, messageBytesMax }) => {
    const socket = await connect(limited);
    socket.on('error', () => {}); // a reset may follow the close frame; the code is what counts
    socket.send(Buffer.alloc(messageBytesMax + 1));
    assert.equal(await closed(socket), 1009);
  }],
  ['fragments that together exceed the limit end with 1009', async ({ limited, messageBytesMax }) => {
    const socket = await connect(limited);
    socket.on('error', () => {});
    socket.send(Buffer.alloc(messageBytesMax), { fin: false });
    socket.send(Buffer.alloc(1), { fin: true });
    assert.equal(await closed(socket), 1009);
  }],
];
