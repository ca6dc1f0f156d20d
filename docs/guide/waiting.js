// How much of what was sent has not left yet.
// guide: waiting
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.addEventListener("open", () => {
  console.log(socket.bufferedAmount);
  socket.send(new Uint8Array(1_000_000));
  console.log(socket.bufferedAmount);
});
// guide: end
