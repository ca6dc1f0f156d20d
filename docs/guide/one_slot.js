// A slot holds one function, and listeners are as many as you like.
// guide: one
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.onmessage = () => console.log("first slot");
socket.onmessage = () => console.log("second slot");
socket.addEventListener("message", () => console.log("first listener"));
socket.addEventListener("message", () => console.log("second listener"));
// guide: end
