// Draws the arena on a canvas, as often as the screen asks.

import { NOBODY } from "./arena_wire.js";

const LABEL_LENGTH = 14;
const POP_TICKS = 8;

export class ArenaView {
  #canvas;
  #arena;
  #colours = null;
  #running = false;
  #stillness = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas, arena) {
    this.#canvas = canvas;
    this.#arena = arena;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#colours = null;
      this.#draw();
    });
  }

  /** Draws from now on; stopped, the last picture stays, and is pale. */
  set running(running) {
    if (this.#running === running) return;
    this.#running = running;
    const next = () => {
      this.#draw();
      if (this.#running) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  }

  #colour(name) {
    this.#colours ??= new Map();
    if (!this.#colours.has(name)) this.#colours.set(name, getComputedStyle(this.#canvas).getPropertyValue(name).trim());
    return this.#colours.get(name);
  }

  #draw() {
    const canvas = this.#canvas;
    const arena = this.#arena;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (width === 0) return;
    const ratio = devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== high) canvas.height = high;
    const context = canvas.getContext("2d");
    const scale = width / arena.width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.globalAlpha = this.#running ? 1 : 0.45;
    this.#drawGround(context, width, height);
    if (arena.tick === null) return;

    const tick = arena.shownTick(performance.now());
    for (const gem of arena.gems) this.#drawGem(context, gem, tick, scale);
    // This page's own player on top.
    const players = [...arena.players.values()].sort((a, b) => (a.id === arena.you) - (b.id === arena.you));
    for (const player of players) this.#drawPlayer(context, player, arena.placeAt(player, tick), scale);
  }

  #drawGround(context, width, height) {
    context.strokeStyle = this.#colour("--arena-line");
    context.lineWidth = 1;
    context.beginPath();
    for (let line = 1; line < 10; line += 1) {
      const x = Math.round((line * width) / 10) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    for (let line = 1; line < 6; line += 1) {
      const y = Math.round((line * height) / 6.4) + 0.5;
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();
  }

  #drawGem(context, gem, tick, scale) {
    const { x, y } = this.#arena.gemAt(gem, tick);
    const radius = Math.max(4, this.#arena.gemRadius * scale);
    context.fillStyle = this.#colour("--arena-gem");
    context.beginPath();
    // A diamond: its shape tells it from a player, not its colour alone.
    context.moveTo(x * scale, y * scale - radius);
    context.lineTo(x * scale + radius, y * scale);
    context.lineTo(x * scale, y * scale + radius);
    context.lineTo(x * scale - radius, y * scale);
    context.closePath();
    context.fill();

    const age = (tick - gem.tick) / POP_TICKS;
    if (!gem.before || age < 0 || age > 1 || this.#stillness.matches) return;
    // Where it was taken.
    context.save();
    context.globalAlpha *= 1 - age;
    context.strokeStyle = this.#colour("--arena-gem");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(gem.before.x * scale, gem.before.y * scale, radius * (1 + 2 * age), 0, 2 * Math.PI);
    context.stroke();
    context.restore();
  }

  #drawPlayer(context, player, place, scale) {
    const { you, playerRadius } = this.#arena;
    const [x, y] = [place.x * scale, place.y * scale];
    const radius = Math.max(6, playerRadius * scale);
    const isYou = player.id === you && you !== NOBODY;
    context.fillStyle = playerColour(player.id, this.#colour("--arena-light"));
    context.beginPath();
    context.arc(x, y, radius - 1, 0, 2 * Math.PI);
    context.fill();
    if (isYou) {
      context.strokeStyle = this.#colour("--ink");
      context.lineWidth = 2.5;
      context.stroke();
    }
    const family = this.#colour("--font");
    context.textAlign = "center";
    if (radius >= 9) {
      context.font = `600 ${Math.round(radius)}px ${family}`;
      context.textBaseline = "middle";
      context.fillStyle = this.#colour("--arena-initial");
      context.fillText([...player.name][0].toUpperCase(), x, y + radius * 0.06);
    }
    context.font = `${isYou ? 600 : 400} 12px ${family}`;
    context.fillStyle = this.#colour("--ink");
    const isAtTop = y - radius < 20;
    context.textBaseline = isAtTop ? "top" : "bottom";
    const letters = [...player.name];
    const label = letters.length > LABEL_LENGTH ? `${letters.slice(0, LABEL_LENGTH - 1).join("")}…` : player.name;
    const half = context.measureText(label).width / 2 + 4;
    const middle = Math.min(Math.max(x, half), context.canvas.clientWidth - half);
    context.fillText(label, middle, isAtTop ? y + radius + 3 : y - radius - 3);
  }
}

/** Neighbours in number are far apart in colour. */
export function playerColour(id, lightness) {
  return `hsl(${Math.round(id * 137.5 + 168) % 360} 58% ${lightness})`;
}
