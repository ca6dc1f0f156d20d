// The page with prices: what the server says moves the table and the chart; what it asks is answered.

import "./strings_ticker.js";

import { Chart, Trail } from "./chart.js";
import { Frames } from "./frames.js";
import { Hub } from "./hub.js";
import { recall, remember } from "./memory.js";
import { Orders } from "./orders.js";
import { copies, pauses, SOCKET_URL } from "./page.js";
import { Socket } from "./socket.js";
import { showState } from "./state.js";
import { onLanguage, startLanguages, words } from "./strings.js";

const $ = (id) => document.getElementById(id);

// As the server has them; a test compares the two.
const SYMBOLS = ["BADA", "BYEOL", "DURI", "GAON", "HANEUL", "MARU", "MIR", "NARAE", "ONSAE", "SAEM", "SOL", "TEO"];

const url = new URL(SOCKET_URL);
for (const symbol of SYMBOLS) url.searchParams.append("sub", `ticker:${symbol}`);
const socket = new Socket(url.href);
const hub = new Hub(socket);
const chart = new Chart($("chart"));

let chosen = SYMBOLS.includes(recall("symbol")) ? recall("symbol") : SYMBOLS[0];
const rows = new Map(SYMBOLS.map((symbol) => [symbol, makeRow(symbol)]));

function cell(className, text = "") {
  const made = document.createElement("td");
  made.className = className;
  made.textContent = text;
  return made;
}

function makeRow(symbol) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "symbol";
  const code = document.createElement("span");
  code.className = "symbol-code";
  code.textContent = symbol;
  const name = document.createElement("span");
  name.className = "symbol-name muted small";
  onLanguage(() => (name.textContent = words(`name_${symbol}`)));
  button.append(code, name);
  button.addEventListener("click", () => choose(symbol));

  const head = document.createElement("th");
  head.scope = "row";
  head.append(button);
  const [price, change, skipped] = [cell("number price", "–"), cell("number change"), cell("number skipped muted")];
  const line = document.createElement("tr");
  line.append(head, price, change, skipped);
  $("quotes").append(line);
  return { line, button, price, change, skipped, count: 0, trail: new Trail() };
}

function choose(symbol) {
  chosen = symbol;
  remember("symbol", symbol);
  for (const [each, { button, line }] of rows) {
    button.ariaPressed = String(each === symbol);
    line.classList.toggle("is-chosen", each === symbol);
  }
  chart.show(rows.get(symbol).trail);
  showChosen();
}

function showChosen() {
  $("chart-heading").textContent = words("ticker_chart", { symbol: chosen, name: words(`name_${chosen}`) });
  const last = rows.get(chosen).trail.points.at(-1);
  $("chart-price").textContent = last ? last.price.toFixed(2) : "–";
}

function show(symbol, { price, change }) {
  const row = rows.get(symbol);
  const before = row.trail.points.at(-1)?.price;
  row.trail.add(price);
  row.price.textContent = price.toFixed(2);
  // The sign and the arrow say it, too: colours alone do not.
  row.change.textContent = `${change > 0 ? "▲ +" : change < 0 ? "▼ −" : ""}${Math.abs(change).toFixed(2)} %`;
  row.change.dataset.direction = Math.sign(change);
  if (before !== undefined && before !== price) {
    row.price.dataset.moved = price > before ? "up" : "down";
    clearTimeout(row.timer);
    row.timer = setTimeout(() => delete row.price.dataset.moved, 350);
  }
  if (symbol === chosen) {
    showChosen();
    chart.draw();
  }
}

function showSkipped() {
  let total = 0;
  for (const row of rows.values()) {
    total += row.count;
    row.skipped.textContent = row.count || "";
  }
  $("skipped").textContent = total ? words("ticker_skipped_total", { count: total }) : "";
}

hub.addEventListener("push", ({ detail: { channel = "", pub, skipped } }) => {
  const symbol = channel.replace(/^ticker:/, "");
  if (!rows.has(symbol)) return;
  if (pub) show(symbol, pub.data);
  if (skipped) {
    rows.get(symbol).count += skipped.count;
    showSkipped();
  }
});

const frames = new Frames($("frames"), socket, () => ({
  out: words("frame_out"),
  in: words("frame_in"),
  event: words("frame_event"),
}));
$("clear").addEventListener("click", () => frames.clear());

$("code").textContent = `const socket = new WebSocket(
  "${SOCKET_URL}" +
  "?sub=ticker:MARU&sub=ticker:BADA");

socket.onmessage = ({ data }) => {
  const { push, ask } = JSON.parse(data);
  if (push?.pub) {
    const { channel, pub } = push;
    console.log(channel, pub.data.price);
  }
  if (ask) {
    const data = { accept: true };
    const answer = { id: ask.id, data };
    socket.send(JSON.stringify({ answer }));
  }
};
socket.onclose = ({ code }) =>
  console.log("close", code);`;

startLanguages($("languages"));
copies($("copy"), $("code"));
pauses($("pause"), frames);
showState($("state"), socket);
new Orders($("orders"), hub, socket);
onLanguage(showChosen);
onLanguage(showSkipped);
choose(chosen);
socket.retry();
