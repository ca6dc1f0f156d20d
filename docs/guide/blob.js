// Without a word about binaryType, bytes come as a Blob.
// guide: blob
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.addEventListener("open", () => socket.send(new Uint8Array([104, 105])));
socket.addEventListener("message", async ({ data }) => {
  if (data instanceof Blob) console.log("blob:", data.size, await data.text());
});
// guide: end
