// A message that is longer than guide_limits takes.
// guide: big
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.addEventListener("open", () => {
  socket.send("x".repeat(1024));
  socket.send("x".repeat(1025));
});
socket.addEventListener("close", ({ code, reason }) => console.log("close", code, reason));
// guide: end
