// The four events, by listener.
// guide: events
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.addEventListener("open", () => {
  console.log("open");
  socket.send("안녕하세요");
});

socket.addEventListener("message", (event) => {
  console.log("message", event.data);
});

socket.addEventListener("error", () => {
  console.log("error");
});

socket.addEventListener("close", (event) => {
  console.log("close", event.code, event.reason);
});
// guide: end
