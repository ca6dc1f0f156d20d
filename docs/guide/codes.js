// Which codes a page may give.
// guide: codes
const socket = new WebSocket("ws://127.0.0.1:9001");

socket.addEventListener("open", () => {
  for (const code of [999, 1001, 1006, 2999, 5000, 3000]) {
    try {
      socket.close(code);
      console.log(code, "is fine");
    } catch (error) {
      console.log(code, error.name);
    }
  }
});
// guide: end
