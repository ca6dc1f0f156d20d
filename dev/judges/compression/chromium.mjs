// A page in Chromium as the client: plays the traffic, prints one line of JSON.
//
//     node chromium.mjs URL SEED MESSAGES OPTIONS_AS_JSON      (CHROMIUM names the program; it takes no options)

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';

const { launch } = createRequire(import.meta.url)('../browser/chromium.js');
const [url, seed, count] = process.argv.slice(2);
const browser = await launch(process.env.CHROMIUM);
let outcome;
try {
  const page = await browser.newPage();
  // What the server that it talks to says to who wants no WebSocket: a page of the same origin.
  await page.goto(url.replace(/^ws/, 'http'));
  const source = readFileSync(new URL('traffic.mjs', import.meta.url), 'utf8');
  outcome = await page.evaluate(async ([source, url, seed, count]) => {
    const { play } = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    const arrived = [];
    const waiting = [];
    const ended = new Promise((_, reject) => {
      socket.onclose = ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`));
    });
    ended.catch(() => {});
    socket.onmessage = ({ data }) => {
      const message = typeof data === 'string' ? data : new Uint8Array(data);
      const wake = waiting.shift();
      if (wake) wake(message);
      else arrived.push(message);
    };
    const next = () => (arrived.length > 0 ? arrived.shift() : Promise.race([new Promise((wake) => waiting.push(wake)), ended]));
    await Promise.race([new Promise((open) => { socket.onopen = open; }), ended]);
    return play(seed, count, ({ payload }) => socket.send(payload), next);
  }, [source, url, Number(seed), Number(count)]);
} catch (error) {
  outcome = { failure: error.message };
} finally {
  await browser.close();
}
console.log(JSON.stringify(outcome));
