// What a page is told when there is no connection: at port 9002 nobody speaks WebSocket.
// guide: error
const socket = new WebSocket("ws://127.0.0.1:9002");

socket.addEventListener("error", (event) => {
  console.log("error", event.constructor.name, event.message, event.code);
});
socket.addEventListener("close", ({ code, reason, wasClean }) => {
  console.log("close", code, reason === "", wasClean);
});
// guide: end
