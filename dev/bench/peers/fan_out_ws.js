'use strict';
// npm `ws` in the fan-out benchmark: a loop over its clients, as its documentation does it. PEER_COMPRESS compresses.

const { WebSocket, WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: Boolean(process.env.PEER_COMPRESS) }, () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
const subscribers = new Set();
server.on('connection', (socket, request) => {
  if (request.url === '/speak') {
    socket.on('message', (data, isBinary) => {
      for (const each of subscribers) {
        if (each.readyState === WebSocket.OPEN) each.send(data, { binary: isBinary });
      }
    });
    return;
  }
  subscribers.add(socket);
  socket.on('close', () => subscribers.delete(socket));
});
