'use strict';
// Frames that break RFC 6455, from a raw socket. Each has to end with the right close code, and nothing else.

const assert = require('node:assert/strict');
const { OPCODE, Raw, closePayload, frame } = require('./raw');

/** Opens, sends `bytes`, and wants a close frame with `code`. */
const fails = (name, code, bytes) => [`${name} ends with ${code}`, async ({ target }) => {
  const raw = await Raw.open(target);
  try {
    raw.write(Buffer.concat([].concat(bytes)));
    const last = await raw.frame();
    assert.equal(last.opcode, OPCODE.close, `a frame with opcode ${last.opcode} came instead of close`);
    assert.equal(last.payload.readUInt16BE(0), code);
    // A server closes the TCP connection after a violation by itself, whatever the client does.
    await raw.end();
  } finally {
    raw.destroy();
  }
}];

async function expectFrame(raw, opcode, payload) {
  const seen = await raw.frame();
  assert.equal(seen.opcode, opcode);
  assert.equal(seen.rsv, 0);
  assert.equal(seen.fin, true);
  assert.equal(seen.payload.toString(), payload);
}

/** Opens and sends a close frame; wants one back and the end of the connection. */
const answersClose = (name, payload, wanted) => [name, async ({ target }) => {
  const raw = await Raw.open(target);
  raw.write(frame(OPCODE.close, payload));
  const answer = await raw.frame();
  assert.equal(answer.opcode, OPCODE.close);
  assert.deepEqual([...answer.payload.subarray(0, 2)], [...wanted]);
  await raw.end();
  raw.destroy();
}];

const { binary, close, continuation, ping, pong, text } = OPCODE;
const brokenText = Buffer.from([0x48, 0x69, 0xff]);
// 100 bytes announced, 4 sent, the third of them impossible. The mask is zero, so the payload stands as it is.
const unfinishedFrame = Buffer.from([0x81, 0x80 | 100, 0, 0, 0, 0, 0x61, 0x62, 0xff, 0x63]);

module.exports = [
  fails('text that is not UTF-8', 1007, frame(text, brokenText)),
  fails('a surrogate in UTF-8', 1007, frame(text, Buffer.from([0xed, 0xa0, 0x80]))),
  fails('an overlong form in UTF-8', 1007, frame(text, Buffer.from([0xc0, 0xaf]))),
  fails('text that ends inside a character', 1007, frame(text, Buffer.from('통').subarray(0, 2))),
  fails('a text fragment that is not UTF-8, before its end', 1007, frame(text, brokenText, { fin: false })),
  fails('a wrong byte in a frame that is not complete', 1007, unfinishedFrame),
  fails('a frame without a mask', 1002, frame(text, 'bare', { masked: false })),
  ...[1, 2, 3, 4, 5, 6, 7].map((rsv) => fails(`RSV bits ${rsv.toString(2).padStart(3, '0')}`, 1002, frame(text, 'x', { rsv }))),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => fails(`reserved opcode ${opcode}`, 1002, frame(opcode, ''))),
  fails('a ping in fragments', 1002, frame(ping, 'x', { fin: false })),
  fails('a close in fragments', 1002, frame(close, closePayload(1000), { fin: false })),
  fails('a ping of 126 bytes', 1002, frame(ping, 'x'.repeat(126))),
  fails('a close of 126 bytes', 1002, frame(close, closePayload(1000, 'x'.repeat(124)))),
  fails('a continuation of nothing', 1002, frame(continuation, 'x')),
  fails('a new message inside a fragmented one', 1002, [frame(text, 'a', { fin: false }), frame(text, 'b')]),
  fails('a length of 125 in 16 bits', 1002, frame(binary, Buffer.alloc(125), { lengthForm: 16 })),
  fails('a length of 65,535 in 64 bits', 1002, frame(binary, Buffer.alloc(65535), { lengthForm: 64 })),
  fails('a length with its highest bit set', 1002, frame(binary, '', { lengthForm: 64, declared: 1n << 63n })),
  fails('a length of 2^64 - 1', 1002, frame(binary, '', { lengthForm: 64, declared: (1n << 64n) - 1n })),
  fails('a length of 2^63 - 1', 1009, frame(binary, '', { lengthForm: 64, declared: (1n << 63n) - 1n })),
  fails('a close of one byte', 1002, frame(close, Buffer.from([3]))),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]
    .map((code) => fails(`close code ${code}`, 1002, frame(close, closePayload(code)))),
  fails('a close reason that is not UTF-8', 1007, frame(close, Buffer.concat([closePayload(1000), Buffer.from([0xff])]))),
  ['good frames before a bad one in the same write are answered first', async ({ target }) => {
    const raw = await Raw.open(target);
    raw.write(Buffer.concat([frame(text, 'one'), frame(ping, 'two'), frame(text, 'three'), frame(text, '', { rsv: 4 })]));
    const before = [await raw.frame(), await raw.frame(), await raw.frame()];
    // A Pong may overtake the application's answers, which keep their order among themselves.
    const payloads = (opcode) => before.filter((each) => each.opcode === opcode).map((each) => each.payload.toString());
    assert.deepEqual([payloads(text), payloads(pong)], [['one', 'three'], ['two']]);
    const last = await raw.frame();
    assert.deepEqual([last.opcode, last.payload.readUInt16BE(0)], [close, 1002]);
    await raw.end();
    raw.destroy();
  }],
  answersClose('close 1000 is answered with 1000', closePayload(1000, 'bye'), closePayload(1000)),
  answersClose('close 1014 is answered with 1014', closePayload(1014), closePayload(1014)),
  answersClose('close without a code is answered without one', '', Buffer.alloc(0)),
  ['a frame of 2^31 bytes against a limit ends with 1009 at its head', async ({ limited }) => {
    const raw = await Raw.open(limited);
    raw.write(frame(binary, '', { lengthForm: 64, declared: 1n << 31n }));
    const answer = await raw.frame();
    assert.equal(answer.payload.readUInt16BE(0), 1009);
    await raw.end();
    raw.destroy();
  }],
  ['a message byte by byte comes back whole', async ({ target }) => {
    const raw = await Raw.open(target);
    raw.socket.setNoDelay(true);
    for (const byte of frame(text, '한 글자씩')) {
      // The callback says that the byte has left, so each is a write of its own.
      await new Promise((resolve) => raw.socket.write(Buffer.from([byte]), resolve));
    }
    await expectFrame(raw, text, '한 글자씩');
    raw.destroy();
  }],
  ['after a close frame nothing is echoed', async ({ target }) => {
    const raw = await Raw.open(target);
    raw.write(Buffer.concat([frame(close, closePayload(1000)), frame(text, 'too late')]));
    assert.equal((await raw.frame()).opcode, close);
    await raw.end();
    assert.equal(raw.received.length, 0);
    raw.destroy();
  }],
  ['a bad peer does not disturb a good one', async ({ target }) => {
    const [good, bad] = [await Raw.open(target), await Raw.open(target)];
    bad.write(frame(text, brokenText));
    assert.equal((await bad.frame()).opcode, close);
    good.write(frame(text, 'fine'));
    await expectFrame(good, text, 'fine');
    good.destroy();
    bad.destroy();
  }],
];
