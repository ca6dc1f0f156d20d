'use strict';
// A WebSocket client that can break the rules: a plain TCP socket, frames made byte by byte.

const { createHash, randomBytes } = require('node:crypto');
const net = require('node:net');

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/**
 * One frame as bytes. A client's frames are masked; `masked: false` breaks that rule. `rsv` is the three bits 0..7.
 * `lengthForm` (7, 16 or 64 bits) and `declared` break the rules on lengths.
 */
function frame(opcode, payload = '', { fin = true, rsv = 0, masked = true, lengthForm, declared } = {}) {
  const body = Buffer.from(payload);
  const length = declared ?? BigInt(body.length);
  const form = lengthForm ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  let head;
  if (form === 7) {
    head = Buffer.from([first, mask | Number(length)]);
  } else if (form === 16) {
    head = Buffer.alloc(4);
    head.writeUInt16BE(Number(length), 2);
    head[1] = mask | 126;
  } else {
    head = Buffer.alloc(10);
    head.writeBigUInt64BE(length, 2);
    head[1] = mask | 127;
  }
  head[0] = first;
  if (!masked) return Buffer.concat([head, body]);
  const key = randomBytes(4);
  return Buffer.concat([head, key, body.map((byte, index) => byte ^ key[index % 4])]);
}

/** The payload of a close frame. */
function closePayload(code, reason = '') {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return payload;
}

class Raw {
  /** Connects and sends nothing yet. */
  static async connect(target) {
    const socket = net.connect(target.port, target.host);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Raw(target, socket);
  }

  /** Connects and finishes the handshake; `early` are bytes sent in the same write as the request. */
  static async open(target, { early = Buffer.alloc(0), headers = {} } = {}) {
    const raw = await Raw.connect(target);
    const key = randomBytes(16).toString('base64');
    raw.write(Buffer.concat([Buffer.from(raw.request({ 'Sec-WebSocket-Key': key, ...headers })), early]));
    const head = await raw.head();
    if (head.status !== 101) throw new Error(`the handshake was answered with ${head.status}`);
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    if (head.headers['sec-websocket-accept'] !== accept) throw new Error('wrong Sec-WebSocket-Accept');
    return raw;
  }

  constructor(target, socket) {
    this.target = target;
    this.socket = socket;
    this.received = Buffer.alloc(0);
    this.ended = false;
    this.wake = () => {};
    socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.wake();
    });
    const end = () => {
      this.ended = true;
      this.wake();
    };
    // A reset is an end too: the server may close before it has read all that we sent.
    socket.on('end', end).on('close', end).on('error', end);
  }

  /** A request for a WebSocket. A header given as `undefined` is left out. */
  request(headers = {}, { method = 'GET', path = '/' } = {}) {
    const all = {
      Host: this.target.authority,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Version': '13',
      ...headers,
    };
    const lines = Object.entries(all).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`);
    return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
  }

  write(bytes) {
    this.socket.write(bytes);
  }

  async #until(enough) {
    for (;;) {
      const result = enough();
      if (result !== undefined) return result;
      if (this.ended) throw new Error(`the server hung up, ${this.received.length} bytes left over`);
      await new Promise((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** The head of the answer: {status, headers}; what follows stays for `frame`. */
  async head() {
    return this.#until(() => {
      const end = this.received.indexOf('\r\n\r\n');
      if (end < 0) return undefined;
      const [first, ...lines] = this.received.subarray(0, end).toString('latin1').split('\r\n');
      this.received = this.received.subarray(end + 4);
      const headers = Object.fromEntries(lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }));
      return { status: Number(first.split(' ')[1]), headers };
    });
  }

  /** The next frame: {fin, rsv, opcode, payload}. A masked one is an error: servers do not mask. */
  async frame() {
    return this.#until(() => {
      const bytes = this.received;
      if (bytes.length < 2) return undefined;
      if (bytes[1] & 0x80) throw new Error('the server sent a masked frame');
      let length = bytes[1] & 0x7f;
      let start = 2;
      if (length === 126) {
        if (bytes.length < 4) return undefined;
        length = bytes.readUInt16BE(2);
        start = 4;
      } else if (length === 127) {
        if (bytes.length < 10) return undefined;
        length = Number(bytes.readBigUInt64BE(2));
        start = 10;
      }
      if (bytes.length < start + length) return undefined;
      this.received = bytes.subarray(start + length);
      return {
        fin: (bytes[0] & 0x80) !== 0,
        rsv: (bytes[0] >> 4) & 7,
        opcode: bytes[0] & 15,
        payload: bytes.subarray(start, start + length),
      };
    });
  }

  /** Resolves when the server has hung up. */
  async end() {
    await this.#until(() => (this.ended ? true : undefined));
  }

  destroy() {
    this.socket.destroy();
  }
}

module.exports = { OPCODE, Raw, closePayload, frame };
