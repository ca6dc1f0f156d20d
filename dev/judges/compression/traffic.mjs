// Random messages from a seed; the same ones as traffic.py and the judged client's traffic.rs make from it. It runs in a page, too.

const LARGEST = 1 << 20;
const IN_FLIGHT_BYTES = 32 * 1024;
const ASCII = ['{"symbol":"', 'KRW', 'USD', '","price":', '1398.5', ',"volume":', '120000', ',"time":"2026-11-26T', '09:00:0', '"}', ' ', 'bid', 'ask', 'null', 'true', 'false'];
const KOREAN = ['소통', '안녕하세요', '시세', '거래량', '서울', '부산', '메시지', '연결', '되었습니다', '보냈습니다', '받았습니다', '오늘', '내일', '값', '가격', '표'];
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export class Traffic {
  constructor(seed) {
    this.state = seed >>> 0 || 1;
    this.made = 0;
    this.bytes = 0;
  }

  next() {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }

  below(bound) {
    return this.next() % bound;
  }

  /** Messages that are in flight together: each batch is read back before the next is sent. */
  *batches(count) {
    while (this.made < count) {
      const batch = [];
      let left = 1 + this.below(16);
      let size = 0;
      while (left > 0 && size < IN_FLIGHT_BYTES && this.made < count) {
        const message = this.message();
        batch.push(message);
        size += message.bytes;
        left -= 1;
      }
      yield batch;
    }
  }

  message() {
    const size = this.size();
    const kind = this.below(3);
    const compressible = this.below(4) !== 0;
    const parts = this.below(4) === 0 ? 2 + this.below(4) : 1;
    this.made += 1;
    let payload;
    let bytes = size;
    if (kind === 1) {
      const characters = Math.floor(size / 3);
      payload = compressible ? this.words(KOREAN, characters) : this.syllables(characters);
      bytes = 3 * payload.length;
    } else if (kind === 2) {
      payload = compressible ? new TextEncoder().encode(this.words(ASCII, size)) : this.noise(size);
    } else {
      payload = compressible ? this.words(ASCII, size) : this.letters(size);
    }
    this.bytes += bytes;
    return { payload, bytes, parts };
  }

  /** The first message is empty and the second as large as any; of the others most are small. */
  size() {
    if (this.made < 2) return this.made * LARGEST;
    const share = this.below(400);
    if (share < 20) return 0;
    for (const [end, bound] of [[240, 128], [352, 4096], [392, 65536], [399, 262144]]) {
      if (share < end) return this.below(bound);
    }
    return this.below(LARGEST + 1);
  }

  words(words, size) {
    let text = '';
    while (text.length < size) text += words[this.below(16)];
    return text.slice(0, size);
  }

  letters(size) {
    let text = '';
    while (text.length < size) {
      const drawn = this.next();
      for (const shift of [0, 6, 12, 18, 24]) text += ALPHABET[(drawn >>> shift) & 63];
    }
    return text.slice(0, size);
  }

  syllables(size) {
    let text = '';
    while (text.length < size) {
      const drawn = this.next();
      text += String.fromCharCode(0xac00 + ((drawn & 0xffff) % 11172), 0xac00 + ((drawn >>> 16) % 11172));
    }
    return text.slice(0, size);
  }

  noise(size) {
    const words = new Uint32Array(Math.ceil(size / 4));
    for (let at = 0; at < words.length; at += 1) words[at] = this.next();
    return new Uint8Array(words.buffer, 0, size);
  }
}

/** A message in as many parts as it says. */
export function pieces({ payload, parts }) {
  const length = Math.max(1, Math.ceil(payload.length / parts));
  const cut = [];
  for (let at = 0; at < payload.length; at += length) cut.push(payload.slice(at, at + length));
  return cut.length > 0 ? cut : [payload];
}

function isSame(sent, received) {
  if (typeof sent === 'string' || typeof received === 'string') return sent === received;
  return sent.length === received.length && sent.every((byte, at) => byte === received[at]);
}

/** Plays `count` messages by `send` and `next`; returns what the judge wants to know. */
export async function play(seed, count, send, next) {
  const traffic = new Traffic(seed);
  let answered = 0;
  for (const batch of traffic.batches(count)) {
    for (const message of batch) send(message);
    for (const { payload } of batch) {
      const received = await next();
      const kind = (value) => `${typeof value === 'string' ? 'text' : 'bytes'} of ${value.length}`;
      if (!isSame(payload, received)) return { failure: `message ${answered}: ${kind(payload)} came back as ${kind(received)}` };
      answered += 1;
    }
  }
  return { messages: answered, bytes: traffic.bytes, state: traffic.state };
}
