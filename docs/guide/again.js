// A connection that comes back.
// guide: again
let failures = 0;

function connect() {
  const socket = new WebSocket("ws://127.0.0.1:9001");
  socket.addEventListener("open", () => {
    failures = 0;
    console.log("open");
  });
  socket.addEventListener("message", (event) => console.log("message", event.data));
  socket.addEventListener("close", () => {
    console.log("close");
    setTimeout(connect, Math.random() * Math.min(20_000, 1_000 * 2 ** failures));
    failures += 1;
  });
}

connect();
// guide: end
