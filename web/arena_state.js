// What this page knows of the arena, and where everything is between two frames of the server.
//
// The server decides; a frame comes every 50 ms. Pictures are drawn more often, so what is shown is a moment that lies a
// fixed time back: for it the frame before and the one after are known, and everything is in between.

import { NOBODY } from "./arena_wire.js";

/** How far back, in ticks. One would do on a line that never hesitates. */
const DELAY_TICKS = 2;
const KEPT = 12;
/** By how much the arrival of one frame moves the idea of when ticks are. */
const TRUST = 0.1;

export class Arena {
  /** null before the first frame that has everything. */
  tick = null;
  you = NOBODY;
  tickMs = 50;
  width = 16_000;
  height = 10_240;
  playerRadius = 352;
  gemRadius = 144;
  /** id → { id, name, score, x, y, trail } */
  players = new Map();
  gems = [];
  /** Whether a frame is missing: until everything comes anew, deltas are of no use. */
  isBehind = false;

  /** When tick 0 would have been, by the clock of this page. */
  #start = null;

  /** Hears a frame. True if the one before it is missing: then it is to be asked for everything anew. */
  hear(frame, now) {
    if (frame.kind === "welcome") this.#begin(frame, now);
    if (frame.kind !== "delta" || this.tick === null || this.isBehind || frame.tick <= this.tick) return false;
    if (frame.tick !== this.tick + 1) {
      this.isBehind = true;
      return true;
    }
    this.#follow(frame, now);
    return false;
  }

  #begin(frame, now) {
    const { tick, you, tickMs, width, height, playerRadius, gemRadius } = frame;
    Object.assign(this, { tick, you, tickMs, width, height, playerRadius, gemRadius, isBehind: false });
    this.players = new Map();
    for (const player of frame.players) this.#come(player);
    this.gems = frame.gems.map((gem) => ({ ...gem, tick, before: null }));
    this.#start = now - tick * tickMs;
  }

  #follow(frame, now) {
    this.tick = frame.tick;
    // First: a number that is free again may be somebody else's at once.
    for (const id of frame.gone) this.players.delete(id);
    for (const player of frame.came) this.#come(player);
    for (const { id, ...news } of [...frame.moved, ...frame.scored, ...frame.named]) {
      const player = this.players.get(id);
      if (player) Object.assign(player, news);
    }
    for (const { gem, x, y } of frame.gems) this.gems[gem] = { x, y, tick: this.tick, before: this.gems[gem] };
    for (const { trail, x, y } of this.players.values()) {
      if (trail.at(-1).tick < this.tick) trail.push({ tick: this.tick, x, y });
      if (trail.length > KEPT) trail.shift();
    }
    const start = now - this.tick * this.tickMs;
    // After a pause it would take long to come near by small steps.
    const isFar = Math.abs(start - this.#start) > 10 * this.tickMs;
    this.#start = isFar ? start : this.#start + TRUST * (start - this.#start);
  }

  #come(player) {
    this.players.set(player.id, { ...player, trail: [{ tick: this.tick, x: player.x, y: player.y }] });
  }

  /** The moment that is shown, in ticks. */
  shownTick(now) {
    return Math.min(this.tick, (now - this.#start) / this.tickMs - DELAY_TICKS);
  }

  /** Where a player is at a moment. */
  placeAt({ trail }, tick) {
    const after = trail.findIndex((each) => each.tick >= tick);
    if (after === -1) return trail.at(-1);
    if (after === 0) return trail[0];
    const [from, to] = [trail[after - 1], trail[after]];
    const part = (tick - from.tick) / (to.tick - from.tick);
    return { x: from.x + part * (to.x - from.x), y: from.y + part * (to.y - from.y) };
  }

  /** Where a gem is at a moment. */
  gemAt(gem, tick) {
    return gem.tick > tick ? (gem.before ?? gem) : gem;
  }
}
