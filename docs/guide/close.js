// A close with a code of one's own.
// guide: close
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.addEventListener("open", () => socket.close(4001, "tea is ready"));
socket.addEventListener("close", ({ code, wasClean }) => {
  console.log("close", code, wasClean);
});
// guide: end
