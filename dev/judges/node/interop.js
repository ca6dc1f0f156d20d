'use strict';
// npm `ws` as the client of `sotong echo`, and a raw socket for what `ws` would never send.
//
//     node interop.js BINARY        (NODE_PATH names the folder that holds `ws`)

const { runCases } = require('./cases');
const { Target } = require('./target');
const clientCases = require('./client_cases');
const framingCases = require('./framing_cases');
const handshakeCases = require('./handshake_cases');
const { drainCases } = require('./drain_cases');

const MESSAGE_BYTES_MAX = 100_000;

async function main(binary) {
  let failures = 0;
  for (const style of ['event', 'pull']) {
    const base = ['echo', '--listen', '127.0.0.1:0', '--style', style];
    const target = await Target.start(binary, base);
    // The same server with a small limit, for the cases that are about the limit.
    const limited = await Target.start(binary, [...base, '--message-bytes-max', String(MESSAGE_BYTES_MAX)]);
    try {
      const context = { target, limited, messageBytesMax: MESSAGE_BYTES_MAX };
      failures += await runCases(`ws, ${style}: `, clientCases, context);
      failures += await runCases(`raw, ${style}: `, framingCases, context);
      failures += await runCases(`handshake, ${style}: `, handshakeCases, context);
      // These end the server, so they come last.
      failures += await runCases(`drain, ${style}: `, drainCases, context, 40);
    } finally {
      target.kill();
      limited.kill();
    }
  }
  return failures === 0 ? 0 : 1;
}

if (process.argv.length !== 3) {
  console.error('usage: node interop.js BINARY');
  process.exit(2);
}
main(process.argv[2]).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
