// The frames of the game, as docs/game.md has them: bytes in, plain values out, and back. Numbers are big-endian.

const NAME = 0x11;
const STEER = 0x12;
const PING = 0x13;
const RESYNC = 0x14;
const WELCOME = 0x18;
const DELTA = 0x19;
const PONG = 0x1a;

/** Who only watches has no number among the players. */
export const NOBODY = 255;
export const NAME_BYTES_MAX = 32;
export const KEYS = { up: 1, down: 2, left: 4, right: 8 };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const nameFrame = (name) => Uint8Array.of(NAME, ...encoder.encode(name));
export const steerFrame = (bits) => Uint8Array.of(STEER, bits);
export const resyncFrame = () => Uint8Array.of(RESYNC);

export function pingFrame(number) {
  const view = new DataView(new ArrayBuffer(5));
  view.setUint8(0, PING);
  view.setUint32(1, number);
  return view.buffer;
}

/** As much of a name as fits, without half a character. */
export function fittingName(name) {
  let fitting = "";
  for (const character of name.replace(/\p{Cc}/gu, " ").trim()) {
    if (encoder.encode(fitting + character).length > NAME_BYTES_MAX) break;
    fitting += character;
  }
  return fitting.trim();
}

/** Reads on from where it was. Past the end it throws a RangeError, as a DataView does. */
class Reader {
  #view;
  #at = 0;

  constructor(data) {
    this.#view = ArrayBuffer.isView(data) ? new DataView(data.buffer, data.byteOffset, data.byteLength) : new DataView(data);
  }

  u8 = () => this.#view.getUint8(this.#advance(1));
  u16 = () => this.#view.getUint16(this.#advance(2));
  u32 = () => this.#view.getUint32(this.#advance(4));
  text = (bytes) => decoder.decode(new DataView(this.#view.buffer, this.#view.byteOffset + this.#advance(bytes), bytes));
  rest = () => this.text(this.#view.byteLength - this.#at);

  name = () => this.text(this.u8());
  place = () => ({ x: this.u16(), y: this.u16() });
  player = () => ({ id: this.u8(), ...this.place(), score: this.u32(), name: this.name() });
  list = (read) => Array.from({ length: this.u8() }, read);

  #advance(bytes) {
    this.#at += bytes;
    return this.#at - bytes;
  }
}

/** What a frame says; `kind` is "unknown" for what is none. */
export function decode(data) {
  const read = new Reader(data);
  switch (read.u8()) {
    case NAME:
      return { kind: "name", name: read.rest() };
    case STEER:
      return { kind: "steer", keys: read.u8() };
    case PING:
      return { kind: "ping", number: read.u32() };
    case RESYNC:
      return { kind: "resync" };
    case WELCOME:
      return {
        kind: "welcome",
        tick: read.u32(),
        you: read.u8(),
        tickMs: read.u8(),
        width: read.u16(),
        height: read.u16(),
        playerRadius: read.u16(),
        gemRadius: read.u16(),
        gems: read.list(read.place),
        players: read.list(read.player),
      };
    case DELTA:
      return {
        kind: "delta",
        tick: read.u32(),
        gone: read.list(read.u8),
        came: read.list(read.player),
        moved: read.list(() => ({ id: read.u8(), ...read.place() })),
        scored: read.list(() => ({ id: read.u8(), score: read.u32() })),
        named: read.list(() => ({ id: read.u8(), name: read.name() })),
        gems: read.list(() => ({ gem: read.u8(), ...read.place() })),
      };
    case PONG:
      return { kind: "pong", number: read.u32() };
    default:
      return { kind: "unknown" };
  }
}

/** What a frame says, in words for the panel of frames. Empty lists are left out. */
export function explain(data) {
  try {
    const lines = Object.entries(decode(data)).map(([name, value]) => {
      if (!Array.isArray(value)) return `${name}: ${JSON.stringify(value)}`;
      return value.length > 0 ? `${name}: ${value.map((each) => `\n  ${JSON.stringify(each)}`).join("")}` : "";
    });
    return lines.filter(Boolean).join("\n");
  } catch {
    return "";
  }
}
