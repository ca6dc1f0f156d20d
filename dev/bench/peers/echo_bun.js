// Bun (uWebSockets inside) as an echo; PEER_COMPRESS=shared or windowed compresses.

const compress = { shared: "shared", windowed: "dedicated" }[process.env.PEER_COMPRESS];
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
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
