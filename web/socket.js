// A WebSocket that comes back: the browser's own, and another one when it has ended.
//
// States, told by the event "state":
//   connecting   the browser is opening a connection
//   open         both ends may speak
//   waiting      it broke; the next attempt is at `retryAt` (milliseconds, as Date.now())
//   closed       it ended for good, or the page has ended it; `retry()` starts again
//
// Other events: "open", "message" (detail: a text, or an ArrayBuffer), "frame" (detail: { direction, data }, everything that
// passes).

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 20_000;
// A connection that lives this long was a good one: the next failure counts as the first again.
const STABLE_MS = 5_000;
// Browsers wait for minutes when nobody answers at all.
const OPENING_MS = 10_000;

/** How long to wait before the attempt after `failures` failures in a row: anything from nothing to a limit that
 * doubles ("full jitter"), so that a thousand pages that lost their server do not all come back in one instant. */
export function retryDelay(failures, random = Math.random) {
  return random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
}

/** Whether a close code asks not to come back. */
export function isFinal(code) {
  return (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
}

export class Socket extends EventTarget {
  state = "closed";
  retryAt = 0;
  /** How the last connection ended. */
  code = 0;
  reason = "";

  #url;
  #socket = null;
  #failures = 0;
  #timer = 0;
  #isLeft = false;

  constructor(url) {
    super();
    this.#url = url;
    // The network is back: no reason to wait any longer.
    addEventListener("online", () => this.state === "waiting" && this.retry());
  }

  /** Connects now, whatever the state; a connection that is open stays. */
  retry() {
    if (this.state === "open" || this.state === "connecting") return;
    clearTimeout(this.#timer);
    this.#isLeft = false;
    const socket = new WebSocket(this.#url);
    // Bytes come as they are, not as a file that would have to be read.
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#become("connecting");
    this.#timer = setTimeout(() => socket.close(), OPENING_MS);

    socket.addEventListener("open", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => (this.#failures = 0), STABLE_MS);
      this.#become("open");
      this.#frame("event", "open");
      this.dispatchEvent(new Event("open"));
    });
    socket.addEventListener("message", ({ data }) => {
      this.#frame("in", data);
      this.dispatchEvent(new CustomEvent("message", { detail: data }));
    });
    // "error" tells a page nothing but that there was one; "close" always follows, and says more.
    socket.addEventListener("close", ({ code, reason }) => {
      clearTimeout(this.#timer);
      this.#socket = null;
      this.code = code;
      this.reason = reason;
      this.#frame("event", `close ${code} ${reason}`.trim());
      if (this.#isLeft || isFinal(code)) {
        this.#become("closed");
        return;
      }
      this.#failures += 1;
      const delay = retryDelay(this.#failures);
      this.retryAt = Date.now() + delay;
      this.#timer = setTimeout(() => this.retry(), delay);
      this.#become("waiting");
    });
  }

  /** Sends a text or bytes; false if there is no open connection. */
  send(data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    this.#frame("out", data);
    return true;
  }

  /** Says goodbye, and does not come back until `retry()`. */
  close(code = 1000, reason = "") {
    if (this.#socket) {
      this.#isLeft = true;
      this.#socket.close(code, reason);
    } else if (this.state === "waiting") {
      clearTimeout(this.#timer);
      this.#become("closed");
    }
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  #frame(direction, data) {
    this.dispatchEvent(new CustomEvent("frame", { detail: { direction, data } }));
  }
}
