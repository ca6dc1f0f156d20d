// Commands and replies over a socket: each command has an id, and the reply repeats it.
//
// Events: "connect" (detail: the hub's first words), "push" (detail: what happened in a channel), "ask" (detail: a
// question of the server, to be answered with `answer`), "answered" (detail: an answer that came too late, or was wrong).

const REPLY_MS = 10_000;

/** The hub refused a command. */
export class HubError extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/** The connection ended, or nothing was heard, before the reply came: the command may or may not have worked. */
export class NoReply extends Error {}

export class Hub extends EventTarget {
  /** The id of this connection, as others see it. */
  client = "";

  #socket;
  #lastId = 0;
  #waiting = new Map();

  constructor(socket) {
    super();
    this.#socket = socket;
    socket.addEventListener("message", ({ detail }) => this.#receive(detail));
    socket.addEventListener("state", () => socket.state !== "open" && this.#giveUp());
  }

  /** Sends `{ id, [method]: body }` and returns the body of the reply. */
  request(method, body = {}) {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      if (!this.#socket.send(JSON.stringify({ id, [method]: body }))) {
        reject(new NoReply("not connected"));
        return;
      }
      const timer = setTimeout(() => this.#settle(id)?.reject(new NoReply("no reply")), REPLY_MS);
      this.#waiting.set(id, { method, resolve, reject, timer });
    });
  }

  /** Answers a question of the server; false if there is no connection. */
  answer(id, data) {
    return this.#socket.send(JSON.stringify({ answer: { id, data } }));
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // nothing that this hub would say; the panel of frames shows it
    }
    if (message.push?.connect) {
      this.client = message.push.connect.client;
      this.dispatchEvent(new CustomEvent("connect", { detail: message.push.connect }));
    } else if (message.push) {
      this.dispatchEvent(new CustomEvent("push", { detail: message.push }));
    } else if (message.ask || message.answered) {
      const kind = message.ask ? "ask" : "answered";
      this.dispatchEvent(new CustomEvent(kind, { detail: message[kind] }));
    } else {
      const request = this.#settle(message.id);
      if (message.error) request?.reject(new HubError(message.error));
      else request?.resolve(message[request.method]);
    }
  }

  #settle(id) {
    const request = this.#waiting.get(id);
    clearTimeout(request?.timer);
    this.#waiting.delete(id);
    return request;
  }

  #giveUp() {
    for (const id of [...this.#waiting.keys()]) this.#settle(id).reject(new NoReply("connection lost"));
  }
}
