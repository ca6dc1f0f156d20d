// A line chart on a canvas: one symbol, the last two minutes; what there is of them at first.

const SPAN_MS = 120_000;
const LEAST_SPAN_MS = 15_000;
const POINTS_MAX = 1_500;
const AXIS = 64;
const EDGE = 12;

/** What one symbol has cost lately. Bounded in time and in number. */
export class Trail {
  points = [];

  add(price, time = Date.now()) {
    this.points.push({ time, price });
    const oldest = time - SPAN_MS;
    // One that is older is where the line comes in from.
    while (this.points.length > POINTS_MAX || this.points[1]?.time < oldest) this.points.shift();
  }
}

/** Draws a trail into `canvas`, as often as the screen asks and something is new. */
export class Chart {
  #canvas;
  #trail = new Trail();
  #isDue = false;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(trail) {
    this.#trail = trail;
    this.draw();
  }

  draw() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#paint();
    });
  }

  #paint() {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (width === 0 || height === 0) return;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== high) canvas.height = high;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);

    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { points } = this.#trail;
    if (points.length === 0) return;

    const now = Date.now();
    const prices = points.map(({ price }) => price);
    const [low, top] = [Math.min(...prices), Math.max(...prices)];
    // A price that stands still is a line in the middle, not at the edge.
    const margin = Math.max((top - low) * 0.12, top * 0.001);
    const [from, to] = [low - margin, top + margin];
    const right = width - AXIS;
    const span = Math.min(SPAN_MS, Math.max(LEAST_SPAN_MS, now - points[0].time));
    const x = (time) => Math.max(0, right - ((now - time) / span) * right);
    const y = (price) => EDGE + (1 - (price - from) / (to - from)) * (height - 2 * EDGE);

    context.font = `12px ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.strokeStyle = colour("--line");
    context.fillStyle = colour("--soft");
    context.lineWidth = 1;
    for (let line = 0; line <= 4; line += 1) {
      const price = from + ((to - from) * line) / 4;
      context.beginPath();
      context.moveTo(0, y(price));
      context.lineTo(right, y(price));
      context.stroke();
      context.fillText(price.toFixed(2), right + 8, y(price));
    }

    // A price holds until the next one: steps, not slopes.
    const last = points.at(-1);
    context.beginPath();
    points.forEach(({ time, price }, index) => {
      if (index > 0) context.lineTo(x(time), y(points[index - 1].price));
      context[index > 0 ? "lineTo" : "moveTo"](x(time), y(price));
    });
    context.lineTo(right, y(last.price));
    context.strokeStyle = colour("--accent");
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.stroke();
    context.lineTo(right, height);
    context.lineTo(x(points[0].time), height);
    context.closePath();
    context.globalAlpha = 0.12;
    context.fillStyle = colour("--accent");
    context.fill();
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(right, y(last.price), 4, 0, 2 * Math.PI);
    context.fill();
  }
}
