'use strict';
// npm `ws` as an echo; PEER_COMPRESS compresses from 0 bytes on, as others here do.

const { WebSocketServer } = require('ws');

const perMessageDeflate = process.env.PEER_COMPRESS ? { threshold: 0 } : false;
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate }, () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
server.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
