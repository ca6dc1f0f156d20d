'use strict';
// npm `ws` in the benchmarks `receive` (counts texts, tells the count when it is asked by a binary message) and `send` (sends
// one text again and again, as long as little waits).

const { WebSocket, WebSocketServer } = require('ws');

const way = process.argv[2];
const text = 'KRW 1,234,567.89 SOTO 0042 bid 7';
const WAITING_MAX = 1024 * 1024;

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false }, () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});

function speak(socket) {
  // In rounds, so that the loop of events goes on.
  for (let round = 0; round < 1000; round++) {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > WAITING_MAX) break;
    socket.send(text);
  }
  setImmediate(speak, socket);
}

server.on('connection', (socket) => {
  let texts = 0;
  socket.on('error', () => socket.terminate());
  socket.on('message', (data, isBinary) => {
    if (isBinary) socket.send(String(texts));
    else texts += 1;
  });
  if (way === 'send') speak(socket);
});
