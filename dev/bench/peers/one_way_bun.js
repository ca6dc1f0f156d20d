// Bun (uWebSockets inside) in the benchmarks `receive` (counts texts, tells the count when it is asked by a binary message)
// and `send` (sends one text again and again, as long as little waits).

const way = process.argv[2];
const text = "KRW 1,234,567.89 SOTO 0042 bid 7";
const WAITING_MAX = 1024 * 1024;

function speak(socket) {
  // In rounds, so that the loop of events goes on; a socket that has enough is heard of again by `drain`.
  for (let round = 0; round < 1000; round++) {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.getBufferedAmount() > WAITING_MAX) return;
    socket.send(text);
  }
  setImmediate(() => speak(socket));
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    if (!server.upgrade(request, { data: { texts: 0 } })) return new Response("a WebSocket is wanted", { status: 426 });
  },
  websocket: {
    backpressureLimit: 16 * WAITING_MAX,
    open(socket) {
      if (way === "send") speak(socket);
    },
    drain(socket) {
      if (way === "send") speak(socket);
    },
    message(socket, message) {
      if (typeof message === "string") socket.data.texts += 1;
      else socket.send(String(socket.data.texts));
    },
  },
});
console.log(`listening on 127.0.0.1:${server.port}`);
