// A panel that shows messages as they pass, in both directions. Bounded: the oldest go. What comes between two pictures
// of the screen is added at once, so that a flood of messages does not keep the page from its work.

const FRAMES_MAX = 200;
const TEXT_MAX = 4_000;
const BYTES_MAX = 1_024;

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

/** Bytes in hexadecimal, sixteen to a line; of many only the first. */
function hex(bytes) {
  const digits = Array.from(bytes.subarray(0, BYTES_MAX), (byte) => byte.toString(16).padStart(2, "0"));
  const lines = [];
  while (digits.length > 0) lines.push(digits.splice(0, 16).join(" "));
  return lines.join("\n") + (bytes.length > BYTES_MAX ? " …" : "");
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Shows what passes through `socket` in `list`; `labels()` gives the words for { out, in, event }. What bytes mean is for
 * `explain(buffer)` to say, if there is one: they are shown in hexadecimal, with that below. */
export class Frames {
  /** Whether what passes is not shown. */
  paused = false;

  #list;
  #labels;
  #explain;
  #waiting = [];

  constructor(list, socket, labels, explain = () => "") {
    this.#list = list;
    this.#labels = labels;
    this.#explain = explain;
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

  #item({ direction, data, date }) {
    const bytes = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
    const text = typeof data === "string" ? data : hex(bytes);
    const shown = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text;
    const readable = () => {
      if (typeof data !== "string") return `${shown}\n${this.#explain(data)}`.trimEnd();
      return shown === text ? pretty(text) : shown;
    };

    const summary = element("summary", "frame-line");
    const arrow = element("span", "frame-arrow", ARROWS[direction]);
    arrow.setAttribute("role", "img");
    arrow.setAttribute("aria-label", this.#labels()[direction]);
    summary.append(arrow, element("time", "frame-time", clock(date)));
    if (direction !== "event") summary.append(element("span", "frame-size", `${bytes.length} B`));
    summary.append(element("code", "frame-text", shown));

    const details = element("details", "frame-details");
    details.append(summary);
    // The readable form is made when somebody looks.
    details.addEventListener("toggle", () => details.append(element("pre", "frame-pretty", readable())), {
      once: true,
    });

    const item = element("li", `frame frame-${direction}`);
    item.append(details);
    return item;
  }
}
