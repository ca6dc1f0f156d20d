// Shows how the connection is: a dot, words, and a button where there is something to do.

import { onLanguage, words } from "./strings.js";

/** Fills `place` (role="status") for `socket`. */
export function showState(place, socket) {
  const text = document.createElement("span");
  text.className = "state-text";
  const seconds = document.createElement("span");
  seconds.className = "state-text";
  // Counting down aloud would drown everything else out.
  seconds.ariaHidden = "true";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "state-button";
  button.addEventListener("click", () => socket.retry());
  place.append(text, seconds, button);

  let ticking = 0;
  const tick = () => {
    const left = Math.max(1, Math.ceil((socket.retryAt - Date.now()) / 1_000));
    seconds.textContent = words("state_waiting", { seconds: left });
  };
  const show = () => {
    const { state, code, reason } = socket;
    place.dataset.state = state;
    clearInterval(ticking);
    text.hidden = state === "waiting";
    seconds.hidden = state !== "waiting";
    if (state === "waiting") {
      tick();
      ticking = setInterval(tick, 250);
    }
    if (state === "closed" && code) {
      text.textContent = reason ? words("state_closed_because", { code, reason }) : words("state_closed_code", { code });
    } else if (state !== "waiting") text.textContent = words(`state_${state}`);
    text.title = text.textContent;
    button.hidden = state !== "waiting" && state !== "closed";
    button.textContent = words(state === "closed" ? "retry_again" : "retry_now");
  };
  socket.addEventListener("state", show);
  onLanguage(show);
}
