// Bun's own server or npm `ws` as the echo server, with compression. Its first line names the address; SIGTERM ends it.
//
//     RUNTIME server.mjs OPTIONS_AS_JSON
//
// npm `ws` sends each fourth length back in three fragments; Bun has no call for that.

import { createRequire } from 'node:module';
import process from 'node:process';

const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
const parameters = JSON.parse(process.argv[2]);

function serveWithBun() {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response('a WebSocket is wanted', { status: 426 })),
    websocket: {
      perMessageDeflate: parameters,
      maxPayloadLength: MESSAGE_BYTES_MAX,
      backpressureLimit: MESSAGE_BYTES_MAX,
      message: (socket, message) => socket.send(message, true),
    },
  });
  console.log(`listening on ws://127.0.0.1:${server.port}`);
}

function serveWithNode() {
  const { WebSocketServer } = createRequire(import.meta.url)('ws');
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: {
      threshold: 0,
      serverNoContextTakeover: parameters.server_no_context_takeover,
      clientNoContextTakeover: parameters.client_no_context_takeover,
      serverMaxWindowBits: parameters.server_max_window_bits,
      clientMaxWindowBits: parameters.client_max_window_bits,
    },
  });
  server.on('connection', (socket) => {
    // However the client ends the connection, it is the client that is judged.
    socket.on('error', () => {});
    socket.on('message', (data, binary) => {
      const message = binary ? data : data.toString();
      if (message.length % 4 !== 3) {
        socket.send(message);
        return;
      }
      const third = Math.floor(message.length / 3);
      socket.send(message.slice(0, third), { binary, fin: false });
      socket.send(message.slice(third, 2 * third), { binary, fin: false });
      socket.send(message.slice(2 * third), { binary, fin: true });
    });
  });
  server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
}

if (typeof globalThis.Bun !== 'undefined') serveWithBun();
else serveWithNode();
