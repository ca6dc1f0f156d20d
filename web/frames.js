// A panel that shows messages as they pass, in both directions. Bounded: the oldest go. What comes between two pictures
// of the screen is added at once, so that a flood of messages does not keep the page from its work.

const FRAMES_MAX = 200;
const TEXT_MAX = 4_000;

const encoder = new TextEncoder();
const two = (number) => String(number).padStart(2, "0");
const clock = (date) =>
  `${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;

const ARROWS = { out: "↑", in: "↓", event: "·" };

function element(name, className, text = "") {
  const created = document.createElement(name);
  created.className = className;
  created.textContent = text;
  return created;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Shows what passes through `socket` in `list`; `labels()` gives the words for { out, in, event }. */
export class Frames {
  /** Whether what passes is not shown. */
  paused = false;

  #list;
  #labels;
  #waiting = [];

  constructor(list, socket, labels) {
    this.#list = list;
    this.#labels = labels;
    socket.addEventListener("frame", ({ detail }) => this.#add({ ...detail, date: new Date() }));
  }

  clear() {
    this.#waiting = [];
    this.#list.replaceChildren();
  }

  #add(frame) {
    if (this.paused) return;
    // A page in the background is shown no pictures; what it will show then are the last ones.
    if (this.#waiting.length === FRAMES_MAX) this.#waiting.shift();
    if (this.#waiting.push(frame) === 1) requestAnimationFrame(() => this.#show());
  }

  #show() {
    const list = this.#list;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...this.#waiting.splice(0).map((frame) => this.#item(frame)));
    while (list.childElementCount > FRAMES_MAX) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  #item({ direction, text, date }) {
    const shown = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text;

    const summary = element("summary", "frame-line");
    const arrow = element("span", "frame-arrow", ARROWS[direction]);
    arrow.setAttribute("role", "img");
    arrow.setAttribute("aria-label", this.#labels()[direction]);
    summary.append(arrow, element("time", "frame-time", clock(date)));
    if (direction !== "event") summary.append(element("span", "frame-size", `${encoder.encode(text).length} B`));
    summary.append(element("code", "frame-text", shown));

    const details = element("details", "frame-details");
    details.append(summary);
    // The readable form is made when somebody looks.
    details.addEventListener(
      "toggle",
      () => details.append(element("pre", "frame-pretty", shown === text ? pretty(text) : shown)),
      { once: true },
    );

    const item = element("li", `frame frame-${direction}`);
    item.append(details);
    return item;
  }
}
