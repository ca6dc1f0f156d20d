// One connection as a picture: the page on the left, the server on the right, and what passes between them, downwards.

import { onLanguage, words } from "./strings.js";

const ROWS_MAX = 60;
const TEXT_MAX = 300;

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Draws what passes through `socket` into `list`, and how long it has been open into `age`. */
export class Line {
  #list;
  #age;
  #socket;
  #openSince = 0;

  constructor(list, age, socket) {
    this.#list = list;
    this.#age = age;
    this.#socket = socket;
    socket.addEventListener("state", () => this.#become(socket.state));
    socket.addEventListener("frame", ({ detail: { direction, data } }) => {
      if (direction !== "event") this.#add(direction, data);
      else if (data.startsWith("close")) this.#add("event", data);
    });
    setInterval(() => this.#showAge(), 1_000);
    onLanguage(() => this.#showAge());
  }

  #become(state) {
    this.#list.dataset.state = state;
    // The way in is HTTP. A script sees neither the request nor the answer, only the event.
    if (state === "connecting") this.#add("out", "GET /ws · Upgrade: websocket", "http");
    if (state === "open") {
      this.#openSince = performance.now();
      this.#add("in", "101 Switching Protocols", "http");
      this.#add("event", "open");
    }
    this.#showAge();
  }

  #add(direction, data, kind = "frame") {
    const list = this.#list;
    const row = element("div", `line-row line-${direction} line-${kind}`);
    if (direction !== "event") row.append(element("span", "unseen", `${words(`frame_${direction}`)}: `));
    const text = typeof data === "string" ? data : `${data.byteLength} B`;
    const what = element("code", "line-what", text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text);
    what.title = what.textContent;
    row.append(what);
    if (direction !== "event") row.append(element("span", "line-arrow"));
    list.append(row);
    while (list.childElementCount > ROWS_MAX) list.firstElementChild.remove();
    list.scrollTop = list.scrollHeight;
  }

  #showAge() {
    const seconds = Math.floor((performance.now() - this.#openSince) / 1_000);
    this.#age.textContent = this.#socket.state === "open" ? words("home_age", { seconds }) : "";
  }
}
