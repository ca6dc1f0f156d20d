// The four events, by on-slot.
// guide: slots
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.onopen = () => console.log("open");
socket.onmessage = (event) => console.log("message", event.data);
socket.onerror = () => console.log("error");
socket.onclose = (event) => console.log("close", event.code, event.reason);
// guide: end
