// The server that the page came from, with or without TLS.
// guide: own
const url = location.origin.replace(/^http/, "ws"); // http: becomes ws:, https: becomes wss:
const socket = new WebSocket(url);

socket.addEventListener("open", () => console.log("open", new URL(socket.url).protocol));
// guide: end
