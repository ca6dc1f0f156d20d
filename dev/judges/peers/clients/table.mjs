// Reads the table of cases (see ../table.tsv).

import { readFileSync } from 'node:fs';

export function readTable(file) {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [verb, name, ...values] = line.split('\t');
      return { verb, name, values };
    });
}

/** A payload as the table writes it: a string for text, a Uint8Array for binary. */
export function payload(written) {
  const colon = written.indexOf(':');
  const [kind, rest] = [written.slice(0, colon), written.slice(colon + 1)];
  if (kind === 'text') return rest;
  if (kind === 'bytes') return Uint8Array.from({ length: Number(rest) }, (_, at) => (at * 31 + 7) % 256);
  if (kind === 'repeat') {
    const [count, character] = rest.split(':');
    return character.repeat(Number(count));
  }
  throw new Error(`the table has a payload of an unknown kind: ${written}`);
}

/** The payload in `count` parts of almost equal length. */
export function parts(whole, count) {
  const length = Math.ceil(whole.length / count);
  return Array.from({ length: count }, (_, at) => whole.slice(at * length, (at + 1) * length));
}

/** `same` for two messages of the same kind with the same content, else what differs. */
export function compare(sent, received) {
  if (typeof sent !== typeof received) return `sent ${typeof sent}, received ${typeof received}`;
  if (sent.length !== received.length) return `sent ${sent.length}, received ${received.length} units`;
  for (let at = 0; at < sent.length; at += 1) if (sent[at] !== received[at]) return `differs at ${at}`;
  return 'same';
}
