// How long a word to the server and back takes: the middle one of the last few, shown in milliseconds.

import { pingFrame } from "./arena_wire.js";
import { onLanguage, words } from "./strings.js";

const EVERY_MS = 1_000;
const KEPT = 5;

export class Latency {
  #place;
  #number = 0;
  /** number → when it was asked */
  #asked = new Map();
  #last = [];

  constructor(place, socket) {
    this.#place = place;
    setInterval(() => this.#ask(socket), EVERY_MS);
    socket.addEventListener("open", () => this.#ask(socket));
    socket.addEventListener("state", () => {
      if (socket.state === "open") return;
      this.#asked.clear();
      this.#last = [];
      this.#show();
    });
    onLanguage(() => this.#show());
  }

  /** The server has repeated a number. */
  hear(number) {
    const asked = this.#asked.get(number);
    if (asked === undefined) return;
    this.#asked.delete(number);
    this.#last = [...this.#last, performance.now() - asked].slice(-KEPT);
    this.#show();
  }

  #ask(socket) {
    // Nobody answers for a while: what is asked now tells more than what was asked then.
    if (this.#asked.size >= KEPT) this.#asked.clear();
    this.#number = (this.#number + 1) % 2 ** 32;
    this.#asked.set(this.#number, performance.now());
    if (!socket.send(pingFrame(this.#number))) this.#asked.delete(this.#number);
  }

  #show() {
    const sorted = this.#last.toSorted((a, b) => a - b);
    const middle = sorted[Math.floor(sorted.length / 2)];
    const ms = middle === undefined ? "–" : middle < 10 ? middle.toFixed(1) : middle.toFixed(0);
    this.#place.textContent = words("game_latency", { ms });
    this.#place.dataset.ms = middle ?? "";
  }
}
