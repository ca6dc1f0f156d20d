// The same ten lines as crates/sotong/examples/guide_same.rs.
// guide: same
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.onopen = () => socket.send("소통");
socket.addEventListener("message", (event) => {
  console.log("message", event.data);
  if (event.data === "소통") socket.close();
});
socket.onerror = () => console.log("error, and nobody says why");
socket.addEventListener("close", (event) => {
  console.log("close", event.code, event.wasClean);
});
// guide: end
