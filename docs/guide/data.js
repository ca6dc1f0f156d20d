// Text and bytes, both ways.
// guide: data
const socket = new WebSocket("ws://127.0.0.1:9001");
socket.binaryType = "arraybuffer";

socket.addEventListener("open", () => {
  socket.send("소통");
  socket.send(new Uint8Array([1, 2, 250]));
});

socket.addEventListener("message", ({ data }) => {
  if (typeof data === "string") console.log("text message:", data);
  else console.log("binary message:", ...new Uint8Array(data));
});
// guide: end
