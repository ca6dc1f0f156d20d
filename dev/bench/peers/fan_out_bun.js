// Bun (uWebSockets inside) in the fan-out benchmark: its own topics, PEER_COMPRESS=shared compresses.

const compress = process.env.PEER_COMPRESS;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const isSpeaker = new URL(request.url).pathname === "/speak";
    if (!server.upgrade(request, { data: { isSpeaker } })) return new Response("a WebSocket is wanted", { status: 426 });
  },
  websocket: {
    perMessageDeflate: compress ? { compress, decompress: compress } : false,
    open(socket) {
      if (!socket.data.isSpeaker) socket.subscribe("all");
    },
    message(_socket, message) {
      server.publish("all", message, Boolean(compress));
    },
  },
});
console.log(`listening on 127.0.0.1:${server.port}`);
