'use strict';
// npm `ws` as an echo; PEER_COMPRESS compresses from 0 bytes on, as others here do; TLS_CERT and TLS_KEY name files for TLS.

const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocketServer } = require('ws');

const { PEER_COMPRESS, TLS_CERT, TLS_KEY } = process.env;
const server = TLS_CERT
  ? https.createServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: PEER_COMPRESS ? { threshold: 0 } : false });
sockets.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(0, '127.0.0.1', () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
