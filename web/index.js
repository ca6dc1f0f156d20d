// The first page: opens a WebSocket and shows what passes.

import { Frames } from "./frames.js";
import { Hub } from "./hub.js";
import { copies, SOCKET_URL } from "./page.js";
import { Socket } from "./socket.js";
import { showState } from "./state.js";
import { startLanguages, words } from "./strings.js";

const $ = (id) => document.getElementById(id);

startLanguages($("languages"));
$("address").textContent = SOCKET_URL;
$("code").textContent = `const socket = new WebSocket("${SOCKET_URL}");
socket.onopen = () => socket.send('{"id":1,"ping":{}}');
socket.onmessage = (event) => console.log(event.data);
socket.onerror = () => console.log("error");
socket.onclose = (event) => console.log(event.code);`;
copies($("copy"), $("code"));

const socket = new Socket(SOCKET_URL);
const hub = new Hub(socket);
showState($("state"), socket);
new Frames($("frames"), socket, () => ({
  out: words("frame_out"),
  in: words("frame_in"),
  event: words("frame_event"),
}));

$("ask").addEventListener("click", async () => {
  const start = performance.now();
  try {
    await hub.request("ping");
    $("answer").textContent = words("home_answer", { ms: (performance.now() - start).toFixed(1) });
  } catch {
    $("answer").textContent = words("home_no_answer");
  }
});

socket.retry();
