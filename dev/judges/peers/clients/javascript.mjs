// The object `WebSocket` of Bun, Deno, Node 24 or npm `ws` as the client of an echo server.
//
//     RUNTIME javascript.mjs PREFIX URL TABLE CA_FILE
//
// With NPM_WS=1 it is npm `ws`, which can more than the object of the standard. Prints `ok - NAME` or
// `not ok - NAME: why` for each case, and a line `left out - …` for the verbs that this peer has no call for.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { compare, parts, payload, readTable } from './table.mjs';

const CASE_DEADLINE_MS = 20_000;
const [prefix, url, tableFile, caFile] = process.argv.slice(2);
const npmWs = process.env.NPM_WS ? createRequire(import.meta.url)('ws') : undefined;
const isBun = typeof globalThis.Bun !== 'undefined';

// Deno and Node read the certificate from their command line or environment.
function construct() {
  const tls = url.startsWith('wss:') ? { ca: readFileSync(caFile, 'utf8') } : undefined;
  if (npmWs) return new npmWs(url, tls ?? {});
  return isBun && tls ? new WebSocket(url, { tls }) : new WebSocket(url);
}

/** One connection: what arrives is queued, so that nobody misses it. */
class Peer {
  static async open() {
    const peer = new Peer(construct());
    await peer.opened;
    return peer;
  }

  constructor(socket) {
    this.socket = socket;
    this.messages = [];
    this.waiting = [];
    socket.binaryType = 'arraybuffer';
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', (event) => reject(new Error(`error before open: ${event.message ?? event.type}`)));
    });
    this.closed = new Promise((resolve) => socket.addEventListener('close', resolve));
    socket.addEventListener('message', ({ data }) => {
      const message = typeof data === 'string' ? data : new Uint8Array(data);
      const waiting = this.waiting.shift();
      if (waiting) waiting(message);
      else this.messages.push(message);
    });
  }

  async next() {
    if (this.messages.length > 0) return this.messages.shift();
    const ended = this.closed.then(({ code }) => { throw new Error(`closed with ${code} instead of an answer`); });
    return Promise.race([new Promise((resolve) => this.waiting.push(resolve)), ended]);
  }

  async end(code, reason, wanted) {
    if (code === undefined) this.socket.close();
    else if (reason === '') this.socket.close(code);
    else this.socket.close(code, reason);
    const event = await this.closed;
    want(event.code === wanted, `closed with ${event.code}, not ${wanted}`);
    // npm `ws` and the standard both say here whether the closing handshake was complete.
    want(event.wasClean, 'the close was not clean');
  }
}

function want(truth, otherwise) {
  if (!truth) throw new Error(otherwise);
}

async function comesBack(peer, message) {
  const difference = compare(message, await peer.next());
  want(difference === 'same', difference);
}

const verbs = {
  async echo([written]) {
    const peer = await Peer.open();
    const message = payload(written);
    peer.socket.send(message);
    await comesBack(peer, message);
    await peer.end(1000, '', 1000);
  },
  async many([count]) {
    const peer = await Peer.open();
    for (let number = 0; number < Number(count); number += 1) peer.socket.send(String(number));
    for (let number = 0; number < Number(count); number += 1) {
      const answer = await peer.next();
      want(answer === String(number), `${answer} came in the place of ${number}`);
    }
    await peer.end(1000, '', 1000);
  },
  async close([code, reason]) {
    const peer = await Peer.open();
    if (code === '-') await peer.end(undefined, '', 1005);
    else await peer.end(Number(code), reason, Number(code));
  },
};

if (npmWs) {
  verbs.fragments = async ([written, count]) => {
    const peer = await Peer.open();
    const whole = payload(written);
    const binary = typeof whole !== 'string';
    for (const [at, part] of parts(whole, Number(count)).entries()) {
      peer.socket.send(part, { binary, fin: at === Number(count) - 1 });
    }
    await comesBack(peer, whole);
    await peer.end(1000, '', 1000);
  };
}
// Bun's object has calls of its own for pings, with the events of npm `ws`.
if (npmWs || isBun) {
  verbs.ping = async ([written]) => {
    const peer = await Peer.open();
    const ponged = new Promise((resolve) => {
      if (npmWs) peer.socket.on('pong', (data) => resolve(new TextDecoder().decode(data)));
      else peer.socket.addEventListener('pong', ({ data }) => resolve(new TextDecoder().decode(data)));
    });
    peer.socket.ping(payload(written));
    const answer = await ponged;
    want(answer === payload(written), `${answer.length} bytes came in the Pong`);
    await peer.end(1000, '', 1000);
  };
}

function withDeadline(promise) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${CASE_DEADLINE_MS} ms`)), CASE_DEADLINE_MS);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

let failures = 0;
const leftOut = new Set();
for (const { verb, name, values } of readTable(tableFile)) {
  if (verb.startsWith('asked-')) continue;
  if (!verbs[verb]) {
    leftOut.add(verb);
    continue;
  }
  try {
    await withDeadline(verbs[verb](values));
    console.log(`ok - ${prefix}${name}`);
  } catch (error) {
    failures += 1;
    console.log(`not ok - ${prefix}${name}: ${error.message}`);
  }
}
if (leftOut.size > 0) console.log(`left out - ${prefix}${[...leftOut].join(', ')}: this client has no call for it`);
process.exit(failures === 0 ? 0 : 1);
