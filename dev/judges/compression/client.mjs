// npm `ws` (with NPM_WS=1) or Bun as the client: plays the traffic, prints one line of JSON.
//
//     RUNTIME client.mjs URL SEED MESSAGES OPTIONS_AS_JSON

import { createRequire } from 'node:module';
import process from 'node:process';
import { pieces, play } from './traffic.mjs';

const [url, seed, count, options] = process.argv.slice(2);
const parameters = JSON.parse(options);
const npmWs = process.env.NPM_WS ? createRequire(import.meta.url)('ws') : undefined;

const socket = npmWs
  ? new npmWs(url, {
      maxPayload: 1 << 30,
      perMessageDeflate: {
        threshold: 0,
        serverNoContextTakeover: parameters.server_no_context_takeover,
        clientNoContextTakeover: parameters.client_no_context_takeover,
        serverMaxWindowBits: parameters.server_max_window_bits,
        clientMaxWindowBits: parameters.client_max_window_bits,
      },
    })
  : new WebSocket(url);
socket.binaryType = 'arraybuffer';

const arrived = [];
const waiting = [];
const ended = new Promise((_, reject) => {
  socket.addEventListener('close', ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`)));
});
ended.catch(() => {});
socket.addEventListener('message', ({ data }) => {
  const message = typeof data === 'string' ? data : new Uint8Array(data);
  const wake = waiting.shift();
  if (wake) wake(message);
  else arrived.push(message);
});

function send(message) {
  if (!npmWs || message.parts === 1) {
    socket.send(message.payload);
    return;
  }
  const cut = pieces(message);
  const binary = typeof message.payload !== 'string';
  cut.forEach((piece, at) => socket.send(piece, { binary, fin: at === cut.length - 1 }));
}

const next = () => (arrived.length > 0 ? arrived.shift() : Promise.race([new Promise((wake) => waiting.push(wake)), ended]));

let outcome;
try {
  await Promise.race([new Promise((open) => socket.addEventListener('open', open)), ended]);
  outcome = await play(Number(seed), Number(count), send, next);
} catch (error) {
  outcome = { failure: error.message };
}
console.log(JSON.stringify(outcome));
process.exit(0);
