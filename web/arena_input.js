// Which way the player wants to go: by keys, by a pad under a finger or a mouse.

import { KEYS } from "./arena_wire.js";

// Places on the keyboard, not letters: with a Korean layout the key W types ㅈ.
const CODES = {
  ArrowUp: KEYS.up,
  ArrowDown: KEYS.down,
  ArrowLeft: KEYS.left,
  ArrowRight: KEYS.right,
  KeyW: KEYS.up,
  KeyS: KEYS.down,
  KeyA: KEYS.left,
  KeyD: KEYS.right,
};

/** The server looks once a tick: what lasts shorter would be missed, so each is held at least so long. */
const HELD_MS = 50;
/** Of a burst this many are kept; the last always. */
const WAITING_MAX = 4;

/** Around the pad, from the right, clockwise. */
const SECTORS = [
  KEYS.right,
  KEYS.right | KEYS.down,
  KEYS.down,
  KEYS.left | KEYS.down,
  KEYS.left,
  KEYS.left | KEYS.up,
  KEYS.up,
  KEYS.right | KEYS.up,
];
/** How far from the middle of the pad one has to press, as a part of its radius. */
const DEAD_ZONE = 0.22;

export class Steering {
  /** What is held now, as a frame has it. */
  bits = 0;

  #pressed = new Set();
  #fromPad = 0;
  #waiting = [];
  #timer = 0;
  #say;

  /** `say(bits)` is called when something else is held. Keys count everywhere but where they scroll or write; in `place`
   * always. */
  constructor(place, pad, say) {
    this.#say = say;
    addEventListener("keydown", (event) => {
      if (!(event.code in CODES) || event.ctrlKey || event.altKey || event.metaKey) return;
      if (!place.contains(event.target) && event.target.closest("input, summary, [tabindex]")) return;
      event.preventDefault();
      this.#pressed.add(event.code);
      this.#change();
    });
    // Wherever it is let go.
    addEventListener("keyup", ({ code }) => this.#pressed.delete(code) && this.#change());
    addEventListener("blur", () => this.release());
    document.addEventListener("visibilitychange", () => document.hidden && this.release());
    this.#watch(pad);
  }

  release() {
    this.#pressed.clear();
    this.#fromPad = 0;
    this.#change();
  }

  #watch(pad) {
    const move = (event) => {
      if (!pad.hasPointerCapture(event.pointerId)) return;
      const { left, top, width, height } = pad.getBoundingClientRect();
      this.#press(pad, sector(event.clientX - left - width / 2, event.clientY - top - height / 2, width / 2));
    };
    pad.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pad.setPointerCapture(event.pointerId);
      move(event);
    });
    pad.addEventListener("pointermove", move);
    // Also when the system takes the finger away.
    pad.addEventListener("lostpointercapture", () => this.#press(pad, 0));
    pad.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  #press(pad, bits) {
    this.#fromPad = bits;
    pad.dataset.keys = Object.keys(KEYS).filter((name) => bits & KEYS[name]).join(" ");
    this.#change();
  }

  #change() {
    const bits = [...this.#pressed].reduce((bits, code) => bits | CODES[code], this.#fromPad);
    if (bits === this.bits) return;
    this.bits = bits;
    if (this.#waiting.length === WAITING_MAX) this.#waiting.pop();
    this.#waiting.push(bits);
    if (this.#timer === 0) this.#next();
  }

  #next() {
    this.#timer = 0;
    const bits = this.#waiting.shift();
    if (bits === undefined) return;
    this.#say(bits);
    this.#timer = setTimeout(() => this.#next(), HELD_MS);
  }
}

/** The direction from the middle to a point. */
function sector(x, y, radius) {
  if (Math.hypot(x, y) < DEAD_ZONE * radius) return 0;
  return SECTORS[Math.round(Math.atan2(y, x) / (Math.PI / 4) + 8) % 8];
}
