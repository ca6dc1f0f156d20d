'use strict';
// npm `ws` as an echo; WS_DEFLATE=1 compresses.

const { WebSocketServer } = require('ws');

const perMessageDeflate = Boolean(process.env.WS_DEFLATE);
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate }, () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
server.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
