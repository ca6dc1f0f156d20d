// The chat page. Everything that people type reaches the page by textContent alone.

import { Frames } from "./frames.js";
import { Hub, NoReply } from "./hub.js";
import { recall, remember } from "./memory.js";
import { copies, pauses, SOCKET_URL } from "./page.js";
import { Socket } from "./socket.js";
import { showState } from "./state.js";
import { language, onLanguage, startLanguages, words } from "./strings.js";

const $ = (id) => document.getElementById(id);

const ROOMS = ["lobby", "questions", "ideas"];
const OWN_ROOMS_MAX = 5;
// As the hub has it; a test compares the two.
const DATA_BYTES_MAX = 16_384;
const MESSAGES_MAX = 300;
// As many as the hub remembers.
const LAST_MESSAGES = 50;

const socket = new Socket(SOCKET_URL);
const hub = new Hub(socket);

let room = roomOfAddress();
let ownRooms = recalledRooms();
let name = recall("name") || words("guest", { number: 100 + Math.floor(Math.random() * 900) });

/** Who is in the room, by client id. */
let people = new Map();
/** Where the room stands: which numbering, and the last number shown. */
let epoch = "";
let offset = 0;
/** Publications that came before the history did; null when nothing is awaited. */
let early = null;
/** Counts entries, so that a reply to an earlier one is known for what it is. */
let entries = 0;
let subscribed = "";

// ---- rooms

const channelOf = (room) => `chat:${room}`;

function cleanRoom(text) {
  // `#` reserves a channel for certain users.
  return String(text ?? "").replace(/[\p{Cc}#]/gu, "").trim().slice(0, 40);
}

function roomOfAddress() {
  return cleanRoom(new URLSearchParams(location.search).get("room")) || ROOMS[0];
}

function recalledRooms() {
  try {
    const names = JSON.parse(recall("rooms") ?? "[]");
    return names.filter((each) => each && cleanRoom(each) === each).slice(0, OWN_ROOMS_MAX);
  } catch {
    return []; // somebody else wrote there
  }
}

const titleOf = (room) => (ROOMS.includes(room) ? words(`room_${room}`) : room);

function showRooms() {
  const names = [...ROOMS, ...ownRooms];
  $("rooms").replaceChildren(
    ...names.map((each) => {
      const link = document.createElement("a");
      link.href = `/chat?room=${encodeURIComponent(each)}`;
      link.textContent = titleOf(each);
      if (each === room) link.ariaCurrent = "page";
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab or window
        event.preventDefault();
        go(each);
      });
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
  $("room-heading").textContent = titleOf(room);
  $("rooms").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function addOwnRoom(each) {
  if (ROOMS.includes(each) || ownRooms.includes(each)) return;
  ownRooms = [each, ...ownRooms].slice(0, OWN_ROOMS_MAX);
  remember("rooms", JSON.stringify(ownRooms));
}

function go(next, { push = true } = {}) {
  if (next !== room) {
    room = next;
    addOwnRoom(room);
    if (push) history.pushState(null, "", `/chat?room=${encodeURIComponent(room)}`);
    epoch = "";
    offset = 0;
    $("messages").replaceChildren();
    enter();
  }
  showRooms();
  showCode();
  view("talk");
}

$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = cleanRoom($("new-room-name").value);
  if (!wanted) return;
  $("new-room-name").value = "";
  adding(false);
  go(wanted);
  text.focus();
});

// A narrow window shows the form when somebody asks for it.
function adding(isAdding) {
  $("add-room").ariaExpanded = String(isAdding);
  if (isAdding) $("new-room-name").focus();
}
$("add-room").addEventListener("click", () => adding($("add-room").ariaExpanded !== "true"));
$("new-room-name").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  $("new-room-name").value = "";
  if ($("add-room").ariaExpanded !== "true") return;
  adding(false);
  $("add-room").focus();
});

addEventListener("popstate", () => go(roomOfAddress(), { push: false }));

// ---- entering a room

/** Leaves where we are and enters `room`: subscribe, who is here, and the last messages, all in one go. */
async function enter() {
  const entry = ++entries;
  if (socket.state !== "open") return;
  const channel = channelOf(room);
  const known = epoch;
  if (subscribed) hub.request("unsubscribe", { channel: subscribed }).catch(ignoreNoReply);
  subscribed = channel;
  people = new Map();
  early = [];
  messages.ariaBusy = "true"; // fifty old messages at once are not to be read out
  try {
    const [, { presence }, { publications = [], epoch: now }] = await Promise.all([
      hub.request("subscribe", { channel, data: { name }, join_leave: true }),
      hub.request("presence", { channel }),
      hub.request("history", { channel, limit: LAST_MESSAGES, reverse: true }),
    ]);
    if (entry !== entries) return;
    people = new Map(Object.entries(presence));
    if (now !== known) {
      if (known && $("messages").querySelector(".message")) note("anew");
      epoch = now;
      offset = 0;
    }
    const [first] = publications.reverse();
    if (offset && first?.offset > offset + 1) note("skipped", { count: first.offset - offset - 1 });
    const meanwhile = early;
    early = null;
    for (const publication of [...publications, ...meanwhile]) show(publication);
    showPeople();
    showEmpty();
    trouble("");
  } catch (error) {
    // Without a connection there is nothing to say: the next one enters again.
    if (entry !== entries || socket.state !== "open") return;
    subscribed = "";
    early = null;
    trouble(error.message);
  } finally {
    if (entry === entries) messages.ariaBusy = "false";
  }
}

function ignoreNoReply(error) {
  if (!(error instanceof NoReply)) throw error;
}

hub.addEventListener("connect", () => {
  subscribed = "";
  enter();
});

socket.addEventListener("state", () => {
  const { state, code, reason } = socket;
  if (state === "closed") trouble(words("state_closed_because", { code, reason }));
});

hub.addEventListener("push", ({ detail: { channel, pub, join, leave } }) => {
  if (channel !== subscribed) return;
  if (pub && early) early.push(pub);
  if (pub && !early) show(pub);
  if (join && join.info.client !== hub.client) {
    people.set(join.info.client, join.info);
    noteJoin(join.info);
  }
  if (leave) {
    people.delete(leave.info.client);
    noteLeave(leave.info);
  }
  if (join || leave) showPeople();
});

// A name belongs to a subscription: who takes another one leaves and comes back, as the same client and at once. Nothing
// was said in between, so the two are told as the one thing that they are.
function noteJoin(info) {
  const last = messages.lastElementChild;
  const before = last?.dataset.left === info.client ? last.dataset.name : "";
  if (before) last.remove();
  if (before !== nameOf(info)) note(before ? "renamed" : "joined", { before, name: nameOf(info) });
}

function noteLeave(info) {
  const item = note("left", { name: nameOf(info) });
  item.dataset.left = info.client;
  item.dataset.name = nameOf(info);
}

// ---- people

const nameOf = (info) => info?.chan_info?.name ?? info?.client?.slice(0, 6) ?? "?";

function showPeople() {
  for (const count of document.querySelectorAll("[data-count]")) count.textContent = people.size || "";
  const byName = new Intl.Collator(language()).compare;
  const sorted = [...people.values()].sort(
    (a, b) => (b.client === hub.client) - (a.client === hub.client) || byName(nameOf(a), nameOf(b)),
  );
  $("people").replaceChildren(
    ...sorted.map((info) => {
      const item = document.createElement("li");
      item.textContent = nameOf(info);
      if (info.client === hub.client) {
        const mark = document.createElement("span");
        mark.className = "muted";
        mark.textContent = ` (${words("you")})`;
        item.append(mark);
      }
      return item;
    }),
  );
}

$("name").value = name;
$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("name").blur();
});
$("name").addEventListener("change", () => {
  const wanted = $("name").value.replace(/\p{Cc}/gu, "").trim();
  $("name").value = wanted || name;
  if (!wanted || wanted === name) return;
  name = wanted;
  remember("name", name);
  // A name belongs to a subscription. If nobody else is here, leaving and entering begins the room anew; there is no
  // need to say so.
  epoch = people.size > 1 ? epoch : "";
  enter();
});

// ---- messages

const messages = $("messages");

function atEnd() {
  return messages.scrollHeight - messages.scrollTop - messages.clientHeight < 60;
}

function toEnd() {
  messages.scrollTop = messages.scrollHeight;
  $("newer").hidden = true;
}

function append(item, { follow = false } = {}) {
  const stay = !follow && !atEnd();
  messages.querySelector(".empty")?.remove();
  messages.append(item);
  while (messages.childElementCount > MESSAGES_MAX) messages.firstElementChild.remove();
  if (stay) $("newer").hidden = false;
  else toEnd();
}

function show(publication) {
  if (publication.offset <= offset) return; // the history had it already
  offset = publication.offset;
  const { data, info, time } = publication;
  const text = typeof data?.text === "string" ? data.text : JSON.stringify(data);
  const own = info?.client === hub.client;
  const last = messages.lastElementChild;

  const item = document.createElement("div");
  item.className = own ? "message own" : "message";
  item.dataset.who = info ? `${info.client} ${nameOf(info)}` : "";
  // One after another by the same person need the name only once.
  if (!(last?.dataset.who && last.dataset.who === item.dataset.who)) {
    item.classList.add("first");
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = nameOf(info);
    item.append(who);
  }
  const body = document.createElement("p");
  body.className = "body";
  body.textContent = text;
  const when = document.createElement("time");
  const date = new Date(time);
  when.dateTime = date.toISOString();
  when.textContent = date.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  item.append(body, when);
  append(item, { follow: own });
}

function note(key, values = {}) {
  const item = document.createElement("div");
  item.className = "note";
  item.textContent = words(key, values);
  append(item);
  return item;
}

function showEmpty() {
  if (messages.querySelector(".message")) return;
  messages.querySelector(".empty")?.remove();
  const item = document.createElement("div");
  item.className = "empty";
  item.textContent = words("empty");
  messages.append(item);
}

messages.addEventListener("scroll", () => atEnd() && ($("newer").hidden = true));
$("newer").addEventListener("click", toEnd);
// The frame shrinks when a keyboard comes up; whoever was at the end stays there.
let wasAtEnd = true;
messages.addEventListener("scroll", () => (wasAtEnd = atEnd()));
new ResizeObserver(() => wasAtEnd && toEnd()).observe(messages);

// ---- saying something

const text = $("text");

function trouble(words) {
  $("trouble").textContent = words;
  $("trouble").hidden = !words;
}

function fit() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

async function say() {
  const said = text.value.trim();
  if (!said) return;
  if (socket.state !== "open") {
    trouble(words("unsent", { reason: words("not_connected") }));
    return;
  }
  const data = { text: said };
  // Far too long a message would end the connection instead of being answered. What was written stays where it is.
  const bytes = new TextEncoder().encode(JSON.stringify(data)).length;
  if (bytes > DATA_BYTES_MAX) {
    const number = new Intl.NumberFormat(language()).format;
    trouble(words("unsent", { reason: words("too_long", { bytes: number(bytes), max: number(DATA_BYTES_MAX) }) }));
    return;
  }
  text.value = "";
  fit();
  trouble("");
  try {
    // It is shown when it comes back through the channel, like to everybody.
    await hub.request("publish", { channel: channelOf(room), data });
  } catch (error) {
    trouble(words("unsent", { reason: error instanceof NoReply ? words("not_connected") : error.message }));
    if (!text.value) {
      text.value = said;
      fit();
    }
  }
}

text.addEventListener("input", fit);
text.addEventListener("keydown", (event) => {
  // While a syllable is being composed, Enter ends the syllable. (Safari says so by the key code alone.)
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  say();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  say();
  text.focus();
});

// ---- the panels

function view(wanted) {
  $("main").dataset.view = wanted;
  for (const tab of $("tabs").children) tab.ariaPressed = String(tab.dataset.view === wanted);
}
$("tabs").addEventListener("click", ({ target }) => {
  const wanted = target.closest("button")?.dataset.view;
  if (wanted) view(wanted);
});

function showCode() {
  const channel = channelOf(room);
  const parameter = encodeURIComponent(channel).replaceAll("%3A", ":");
  $("code").textContent = `const socket = new WebSocket(
  ${JSON.stringify(`${SOCKET_URL}?sub=${parameter}`)});

socket.onmessage = (event) => {
  console.log(event.data);
};
socket.onopen = () => {
  socket.send(JSON.stringify({
    id: 1,
    publish: {
      channel: ${JSON.stringify(channel)},
      data: { text: ${JSON.stringify(words("by_hand_text"))} },
    },
  }));
};`;
}

const frames = new Frames($("frames"), socket, () => ({
  out: words("frame_out"),
  in: words("frame_in"),
  event: words("frame_event"),
}));
$("clear").addEventListener("click", () => frames.clear());
pauses($("pause"), frames);
copies($("copy"), $("code"));
showState($("state"), socket);
startLanguages($("languages"));
onLanguage(() => {
  showRooms();
  showPeople();
  showCode();
  if (messages.querySelector(".empty")) showEmpty();
});
addOwnRoom(room);
showRooms();
socket.retry();
