'use strict';
// Runs named cases one after the other, each with a deadline, and prints `ok - NAME` or `not ok - NAME: why`.

/** Resolves as `promise` does, or fails after `milliseconds` with what was awaited in vain. */
async function within(milliseconds, what, promise) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms in vain for ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * `cases` is a list of [name, async function(context)]. Returns the number of failures.
 * `prefix` goes before each name; `seconds` is the deadline of a case.
 */
async function runCases(prefix, cases, context, seconds = 20) {
  let failures = 0;
  for (const [name, play] of cases) {
    try {
      await within(seconds * 1000, 'the case', play(context));
      console.log(`ok - ${prefix}${name}`);
    } catch (error) {
      failures += 1;
      console.log(`not ok - ${prefix}${name}: ${error.message.replace(/\s+/g, ' ').trim().slice(0, 500)}`);
      const place = /at .*?([\w.]+\.js:\d+):\d+\)?$/m.exec((error.stack || '').replace(/^.*\/cases\.js:.*$/gm, ''));
      if (place) console.log(`    at ${place[1]}`);
    }
  }
  return failures;
}

module.exports = { runCases, within };
