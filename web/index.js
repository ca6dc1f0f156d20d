// The first page: opens a WebSocket and shows what passes.

import { Hub, NoReply } from "./hub.js";
import { Line } from "./line.js";
import { copies, SOCKET_URL } from "./page.js";
import { Socket } from "./socket.js";
import { showState } from "./state.js";
import { onLanguage, startLanguages, words } from "./strings.js";

const $ = (id) => document.getElementById(id);

// What the server tells whoever listens, without being asked again.
const CHANNEL = "ticker:MARU";
const HEARD_MAX = 4;

const socket = new Socket(SOCKET_URL);
const hub = new Hub(socket);

/** What is told below the picture, in words; made anew when the language changes. */
let told = () => "";
/** How many prices are still awaited. */
let awaited = 0;

function tell(what) {
  told = what;
  $("answer").textContent = told();
}

async function ask() {
  const start = performance.now();
  try {
    await hub.request("ping");
    const ms = (performance.now() - start).toFixed(1);
    tell(() => words("home_answer", { ms }));
  } catch {
    tell(() => words("home_no_answer"));
  }
}

async function listen() {
  awaited = HEARD_MAX;
  showButtons();
  try {
    await hub.request("subscribe", { channel: CHANNEL });
    tell(() => words("home_listening", { count: HEARD_MAX }));
  } catch {
    awaited = 0;
    tell(() => words("home_no_answer"));
  }
  showButtons();
}

hub.addEventListener("push", async ({ detail }) => {
  if (detail.channel !== CHANNEL || !detail.pub || awaited === 0) return;
  awaited -= 1;
  if (awaited > 0) return;
  try {
    await hub.request("unsubscribe", { channel: CHANNEL });
  } catch (error) {
    if (!(error instanceof NoReply)) throw error; // a connection that is gone has unsubscribed as well
  }
  tell(() => words("home_listened"));
  showButtons();
});

function showButtons() {
  const isOpen = socket.state === "open";
  $("ask").disabled = !isOpen;
  $("listen").disabled = !isOpen || awaited > 0;
  $("close").disabled = !isOpen;
}

socket.addEventListener("state", () => {
  if (socket.state !== "open") {
    awaited = 0;
    tell(() => "");
  }
  showButtons();
});
// The server speaks first; then it is this page's turn.
hub.addEventListener("connect", ask);

$("ask").addEventListener("click", ask);
$("listen").addEventListener("click", listen);
$("close").addEventListener("click", () => {
  socket.close();
  // The button that has the focus cannot be pressed any more; the next one to press is beside the state.
  $("line").focus({ preventScroll: true });
});

$("address").textContent = SOCKET_URL;
$("code").textContent = `const socket = new WebSocket("${SOCKET_URL}");
socket.onopen = () => socket.send('{"id":1,"ping":{}}');
socket.onmessage = (event) => console.log(event.data);
socket.onerror = () => console.log("error");
socket.onclose = (event) => console.log(event.code);`;
copies($("copy"), $("code"));
startLanguages($("languages"));
showState($("state"), socket);
new Line($("line"), $("age"), socket);
onLanguage(() => ($("answer").textContent = told()));
showButtons();
socket.retry();
