// The orders that the server asks this page to confirm: a question, a deadline, and what became of it.

import { onLanguage, words } from "./strings.js";

const KEPT = 12;

/** Shows orders in `list`; answers go out through `hub`. */
export class Orders {
  #list;
  #hub;
  #orders = [];

  constructor(list, hub, socket) {
    this.#list = list;
    this.#hub = hub;
    hub.addEventListener("ask", ({ detail }) => detail.method === "confirm" && this.#ask(detail));
    // An answer that was late or wrong is told by its ask; what became of an order in time, by its number.
    hub.addEventListener("answered", ({ detail }) => this.#settle((order) => order.ask === detail.id, "late"));
    hub.addEventListener("push", ({ detail }) => {
      const told = detail.message?.data;
      if (told?.order) this.#settle((order) => order.number === told.order && order.state !== "late", told.state);
    });
    socket.addEventListener("state", () => {
      if (socket.state !== "open") this.#settle(({ state }) => state === "asked" || state === "sent", "lost");
    });
    onLanguage(() => this.#show());
    setInterval(() => this.#tick(), 250);
  }

  #ask({ id, data }) {
    const { order: number, symbol, side, quantity, price, seconds } = data;
    const until = Date.now() + seconds * 1_000;
    this.#orders.unshift({ ask: id, number, symbol, side, quantity, price, until, state: "asked" });
    this.#orders.length = Math.min(this.#orders.length, KEPT);
    this.#show();
  }

  #answer(order, accept) {
    if (this.#hub.answer(order.ask, { accept })) order.state = "sent";
    this.#show();
  }

  #settle(is, state) {
    const settled = this.#orders.filter(is);
    for (const order of settled) order.state = state;
    if (settled.length > 0) this.#show();
  }

  /** The seconds go down without the whole list being made anew: whoever is about to press a button keeps it. */
  #tick() {
    for (const order of this.#orders) {
      if (order.state === "asked" && order.clock) order.clock.textContent = timeLeft(order);
    }
  }

  #show() {
    const focused = document.activeElement?.dataset?.answer;
    if (this.#orders.length === 0) {
      const empty = document.createElement("li");
      empty.className = "muted small";
      empty.textContent = words("ticker_none");
      this.#list.replaceChildren(empty);
      return;
    }
    this.#list.replaceChildren(...this.#orders.map((order) => this.#item(order)));
    if (focused) this.#list.querySelector(`[data-answer="${focused}"]`)?.focus();
  }

  #item(order) {
    const item = document.createElement("li");
    item.className = "order";
    item.dataset.state = order.state;
    const question = document.createElement("p");
    question.textContent = words(`ticker_${order.side === "buy" ? "buy" : "sell"}`, {
      symbol: order.symbol,
      quantity: order.quantity,
      price: order.price.toFixed(2),
    });
    item.append(question);
    if (order.state !== "asked") {
      const state = document.createElement("p");
      state.className = "order-state small";
      state.textContent = words(`ticker_state_${order.state}`);
      item.append(state);
      return item;
    }
    const answers = document.createElement("div");
    answers.className = "order-answers";
    for (const [accept, key] of [
      [true, "ticker_accept"],
      [false, "ticker_decline"],
    ]) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = accept ? "button" : "button button-quiet";
      button.dataset.answer = `${order.ask}-${accept}`;
      button.textContent = words(key);
      // Past the deadline it still answers: the server decides what is late.
      button.addEventListener("click", () => this.#answer(order, accept));
      answers.append(button);
    }
    order.clock = document.createElement("span");
    order.clock.className = "muted small";
    order.clock.ariaHidden = "true"; // not to be counted down aloud
    order.clock.textContent = timeLeft(order);
    answers.append(order.clock);
    item.append(answers);
    return item;
  }
}

function timeLeft({ until }) {
  return words("ticker_left", { seconds: Math.max(0, Math.ceil((until - Date.now()) / 1_000)) });
}
