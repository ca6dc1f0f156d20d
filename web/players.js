// Who is in the arena, with their gems and where they are, and which way the nearest gem is: the arena in words.

import { playerColour } from "./arena_view.js";
import { onLanguage, words } from "./strings.js";

/** Faster than this nobody reads. */
const EVERY_MS = 250;
/** Steps of a unit, as frames count them. */
const UNIT = 16;

export class PlayerTable {
  #body;
  #nearest;
  #arena;
  #timer = 0;
  /** id → its row */
  #rows = new Map();

  constructor(body, nearest, arena) {
    this.#body = body;
    this.#nearest = nearest;
    this.#arena = arena;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
    onLanguage(() => this.#show());
  }

  /** Shows what is new, soon. */
  show() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#show();
    }, EVERY_MS);
  }

  #show() {
    this.#showNearest();
    const { players, you } = this.#arena;
    for (const [id, { row }] of this.#rows) {
      if (players.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    const ranked = [...players.values()].sort((a, b) => b.score - a.score || a.id - b.id);
    const lightness = getComputedStyle(this.#body).getPropertyValue("--arena-light");
    ranked.forEach((player, rank) => {
      const { row, mark, name, own, score, where } = this.#rowOf(player.id);
      mark.style.backgroundColor = playerColour(player.id, lightness);
      name.textContent = player.name;
      own.textContent = player.id === you ? ` ${words("you")}` : "";
      score.textContent = player.score;
      row.dataset.you = player.id === you;
      row.dataset.x = Math.round(player.x / UNIT);
      row.dataset.y = Math.round(player.y / UNIT);
      where.textContent = `${row.dataset.x}, ${row.dataset.y}`;
      // Moved only when its rank is another one: whoever reads is not interrupted.
      if (this.#body.children[rank] !== row) this.#body.insertBefore(row, this.#body.children[rank] ?? null);
    });
  }

  #showNearest() {
    const { players, gems, you } = this.#arena;
    const own = players.get(you);
    const ways = own ? gems.map(({ x, y }) => ({ x: x - own.x, y: y - own.y })) : [];
    const [way] = ways.sort((a, b) => Math.hypot(a.x, a.y) - Math.hypot(b.x, b.y));
    const steps = (length, back, forth) => `${length < 0 ? back : forth} ${Math.round(Math.abs(length) / UNIT)}`;
    this.#nearest.textContent = way ? words("game_nearest", { x: steps(way.x, "←", "→"), y: steps(way.y, "↑", "↓") }) : "";
  }

  #rowOf(id) {
    const known = this.#rows.get(id);
    if (known) return known;
    const row = document.createElement("tr");
    const make = (tag, className, parent) => {
      const made = document.createElement(tag);
      made.className = className;
      parent.append(made);
      return made;
    };
    const head = make("th", "player", row);
    head.scope = "row";
    const parts = {
      row,
      mark: make("span", "player-mark", head),
      name: make("span", "player-name", head),
      own: make("span", "muted small", head),
      score: make("td", "number", row),
      where: make("td", "number muted where", row),
    };
    this.#rows.set(id, parts);
    return parts;
  }
}
