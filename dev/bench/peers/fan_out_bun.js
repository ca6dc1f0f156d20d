// Bun (uWebSockets inside) in the fan-out benchmark: its own topics, nothing compressed.

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const isSpeaker = new URL(request.url).pathname === "/speak";
    if (!server.upgrade(request, { data: { isSpeaker } })) return new Response("a WebSocket is wanted", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      if (!socket.data.isSpeaker) socket.subscribe("all");
    },
    message(_socket, message) {
      server.publish("all", message);
    },
  },
});
console.log(`listening on 127.0.0.1:${server.port}`);
