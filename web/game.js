// The page with the game: it says which keys are held, and shows what the server decides.

import "./strings_game.js";

import { Steering } from "./arena_input.js";
import { Arena } from "./arena_state.js";
import { ArenaView } from "./arena_view.js";
import { decode, explain, fittingName, nameFrame, resyncFrame, steerFrame } from "./arena_wire.js";
import { Frames } from "./frames.js";
import { Latency } from "./latency.js";
import { recall, remember } from "./memory.js";
import { copies, pauses, SOCKET_URL } from "./page.js";
import { PlayerTable } from "./players.js";
import { Socket } from "./socket.js";
import { showState } from "./state.js";
import { onLanguage, startLanguages, words } from "./strings.js";

const $ = (id) => document.getElementById(id);

const url = SOCKET_URL.replace(/ws$/, "game");
const socket = new Socket(url);
const arena = new Arena();
const view = new ArenaView($("canvas"), arena);
const table = new PlayerTable($("players"), $("nearest"), arena);
const latency = new Latency($("latency"), socket);
const steering = new Steering($("arena"), $("pad"), (bits) => socket.send(steerFrame(bits)));

const guest = words("guest", { number: 100 + Math.floor(Math.random() * 900) });
let name = fittingName(recall("name") ?? "") || fittingName(guest);

/** What happened last, in words; made anew when the language changes. */
let news = () => "";

function tell(what) {
  news = what;
  $("news").textContent = news();
}

// ---- the connection

socket.addEventListener("open", () => socket.send(nameFrame(name)));
socket.addEventListener("state", () => {
  view.running = socket.state === "open";
  if (socket.state !== "waiting") return;
  const { code, reason } = socket;
  if (code === 1013) tell(() => words("game_full"));
  else if ([1003, 1007, 1008].includes(code)) tell(() => words("state_closed_because", { code, reason }));
  else tell(() => "");
});
socket.addEventListener("message", ({ detail }) => {
  if (typeof detail === "string") return; // nothing that this server would say
  const frame = decode(detail);
  if (frame.kind === "pong") {
    latency.hear(frame.number);
    return;
  }
  const before = frame.kind === "delta" ? whoIsTold(frame) : [];
  if (arena.hear(frame, performance.now())) socket.send(resyncFrame());
  if (frame.kind === "welcome") welcome();
  for (const what of before) tell(what);
  $("arena").dataset.tick = arena.tick ?? "";
  $("arena").dataset.you = arena.you;
  table.show();
});

function welcome() {
  tell(() => "");
  // Keys that are held while the server was away, or everything came anew.
  if (steering.bits !== 0) socket.send(steerFrame(steering.bits));
}

/** What of a delta is worth a word, before it is applied: then those who leave have a name. */
function whoIsTold({ gone, came, scored }) {
  const told = [];
  const nameOf = (id) => arena.players.get(id)?.name;
  for (const left of gone.map(nameOf)) left && told.push(() => words("left", { name: left }));
  for (const { id, name: joined } of came) id !== arena.you && told.push(() => words("joined", { name: joined }));
  const own = scored.find(({ id }) => id === arena.you);
  if (own) told.push(() => words("game_scored", { count: own.score }));
  return told;
}

// ---- the name

$("name").value = name;
$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  name = fittingName($("name").value) || name;
  $("name").value = name;
  remember("name", name);
  socket.send(nameFrame(name));
  $("arena").focus();
});

// ---- the rest of the page

const frames = new Frames(
  $("frames"),
  socket,
  () => ({ out: words("frame_out"), in: words("frame_in"), event: words("frame_event") }),
  explain,
);
$("clear").addEventListener("click", () => frames.clear());

$("code").textContent = `const socket = new WebSocket("${url}");
socket.binaryType = "arraybuffer";
socket.onopen = () => {
  // A name, and then a key that is held: to the right.
  socket.send(new Uint8Array([0x11, ...new TextEncoder().encode("by hand")]));
  socket.send(new Uint8Array([0x12, 8]));
};
socket.onmessage = ({ data }) => {
  const frame = new DataView(data);
  const kind = frame.getUint8(0).toString(16);
  console.log(kind, "tick", frame.getUint32(1), data.byteLength, "bytes");
};
socket.onclose = ({ code, reason }) => console.log("close", code, reason);`;

startLanguages($("languages"));
copies($("copy"), $("code"));
pauses($("pause"), frames);
showState($("state"), socket);
onLanguage(() => ($("news").textContent = news()));
socket.retry();
