// An echo server by Bun's own server, Deno's, or npm `ws`: the peer of our client.
//
//     RUNTIME javascript.mjs [CERT_FILE KEY_FILE]
//
// Its first line names the address. It echoes, except for texts that begin with `please ` (see ../table.tsv). SIGTERM ends it.

import { readFileSync } from 'node:fs';
import { createServer as createPlain } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { createRequire } from 'node:module';
import process from 'node:process';

const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
const [certFile, keyFile] = process.argv.slice(2);
const tls = certFile ? { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') } : undefined;

function listening(port) {
  console.log(`listening on ${tls ? 'wss' : 'ws'}://127.0.0.1:${port}`);
}

/** What a server does with a message. `socket` has send, close, and where the runtime can: ping, fragments. */
function answer(socket, message) {
  const [, verb, rest] = typeof message === 'string' ? /^please (\w+) (.*)$/s.exec(message) ?? [] : [];
  if (verb === 'close') {
    const space = rest.indexOf(' ');
    socket.close(Number(rest.slice(0, space)), rest.slice(space + 1));
  } else if (verb === 'ping') {
    socket.ping(rest);
  } else if (verb === 'fragment') {
    const space = rest.indexOf(' ');
    socket.fragments(Number(rest.slice(0, space)), rest.slice(space + 1));
  } else {
    socket.send(message);
  }
}

const ponged = (data) => `ponged ${new TextDecoder().decode(data)}`;

function serveWithBun() {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response('a WebSocket is wanted', { status: 426 })),
    websocket: {
      maxPayloadLength: MESSAGE_BYTES_MAX,
      backpressureLimit: MESSAGE_BYTES_MAX,
      message: answer,
      pong: (socket, data) => socket.send(ponged(data)),
    },
  });
  listening(server.port);
}

function serveWithDeno() {
  const server = Deno.serve({ hostname: '127.0.0.1', port: 0, ...tls, onListen: ({ port }) => listening(port) }, (request) => {
    if (request.headers.get('upgrade') !== 'websocket') return new Response('a WebSocket is wanted', { status: 426 });
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => answer(socket, data);
    return response;
  });
  Deno.addSignalListener('SIGTERM', () => server.shutdown().finally(() => Deno.exit(0)));
}

function serveWithNode() {
  const { WebSocketServer } = createRequire(import.meta.url)('ws');
  const http = tls ? createSecure(tls) : createPlain();
  const server = new WebSocketServer({ server: http, maxPayload: MESSAGE_BYTES_MAX });
  server.on('connection', (socket) => {
    // Whatever the client did to the connection shows on its side.
    socket.on('error', () => {});
    socket.on('pong', (data) => socket.send(ponged(data)));
    const peer = {
      send: (message) => socket.send(message),
      close: (code, reason) => socket.close(code, reason),
      ping: (payload) => socket.ping(payload),
      fragments: (count, text) => {
        const length = Math.ceil(text.length / count);
        for (let number = 0; number < count; number += 1) {
          socket.send(text.slice(number * length, (number + 1) * length), { fin: number === count - 1 });
        }
      },
    };
    socket.on('message', (data, isBinary) => answer(peer, isBinary ? data : data.toString()));
  });
  http.listen(0, '127.0.0.1', () => listening(http.address().port));
}

if (typeof globalThis.Bun !== 'undefined') serveWithBun();
else if (typeof globalThis.Deno !== 'undefined') serveWithDeno();
else serveWithNode();
