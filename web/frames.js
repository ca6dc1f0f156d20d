// A panel that shows messages as they pass, in both directions. Bounded: the oldest go.

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
  #list;
  #labels;

  constructor(list, socket, labels) {
    this.#list = list;
    this.#labels = labels;
    socket.addEventListener("frame", ({ detail }) => this.#add(detail));
  }

  clear() {
    this.#list.replaceChildren();
  }

  #add({ direction, text }) {
    const list = this.#list;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const shown = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text;

    const summary = element("summary", "frame-line");
    const arrow = element("span", "frame-arrow", ARROWS[direction]);
    arrow.setAttribute("role", "img");
    arrow.setAttribute("aria-label", this.#labels()[direction]);
    summary.append(arrow, element("time", "frame-time", clock(new Date())));
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
    list.append(item);
    while (list.childElementCount > FRAMES_MAX) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}
