// Bun (uWebSockets inside) as an echo; PEER_COMPRESS=shared or windowed compresses, TLS_CERT and TLS_KEY name files for TLS.

const compress = { shared: "shared", windowed: "dedicated" }[process.env.PEER_COMPRESS];
const { TLS_CERT, TLS_KEY } = process.env;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: TLS_CERT ? { cert: Bun.file(TLS_CERT), key: Bun.file(TLS_KEY) } : undefined,
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response("a WebSocket is wanted", { status: 426 });
  },
  websocket: {
    perMessageDeflate: compress ? { compress, decompress: compress } : false,
    message(socket, message) {
      socket.send(message, Boolean(compress));
    },
  },
});
console.log(`listening on 127.0.0.1:${server.port}`);
