// What is sent before the connection is open.
// guide: early
const socket = new WebSocket("ws://127.0.0.1:9001");

try {
  socket.send("too early");
} catch (error) {
  console.log(error.name);
}

socket.addEventListener("open", () => socket.send("in time"));
socket.addEventListener("message", (event) => console.log(event.data));
// guide: end
