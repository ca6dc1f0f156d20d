// What the pages share: the address of the hub, copying the lines that are shown, and pausing what passes.

import { onLanguage, words } from "./strings.js";

/** The WebSocket address beside this page: the same host and port, wss where the page came by https. */
export const SOCKET_URL = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;

/** Makes `button` copy the text of `source`. Without the right to the clipboard it selects it instead. */
export function copies(button, source) {
  let label = "copy";
  const show = () => (button.textContent = words(label));
  const say = (key) => {
    label = key;
    show();
  };
  onLanguage(show);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      say("copied");
      setTimeout(say, 2_000, "copy");
    } catch {
      getSelection().selectAllChildren(source);
    }
  });
}

/** Makes `button` hold a panel of frames still, and let it go on. */
export function pauses(button, frames) {
  const show = () => {
    button.textContent = words(frames.paused ? "go_on" : "pause");
    button.ariaPressed = String(frames.paused);
  };
  button.addEventListener("click", () => {
    frames.paused = !frames.paused;
    show();
  });
  onLanguage(show);
}
