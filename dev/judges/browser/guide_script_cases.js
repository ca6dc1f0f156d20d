'use strict';
// Each script of docs/guide does what the guide says.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { promisify } = require('node:util');
const { within } = require('../node/cases');
const { Target } = require('../node/target');
const { Script, lines, read, start } = require('./guide_script');

const SERVER = '127.0.0.1:9001';
const run = promisify(execFile);

/** Plays with an example, which is ended afterwards. */
async function withServer(world, example, play) {
  const target = await start(world, example);
  try {
    await play(target);
  } finally {
    target.kill();
  }
}

/** A script that talks to `example` writes what the file beside it has. */
const says = (what, name, example = 'guide_echo') => [what, (world) => withServer(world, example, async (target) => {
  const script = await Script.run(world, `${name}.js`, target.http, { replaced: { [SERVER]: target.authority } });
  await script.console.are(lines(`${name}.txt`));
  await script.close();
})];

module.exports = [
  ['the handshake, byte by byte', (world) => withServer(world, 'guide_echo', async (target) => {
    const [request, answer] = read('handshake.txt').trimEnd().split('\n\n');
    const socket = net.connect(target.port, target.host);
    const data = [];
    socket.on('data', (chunk) => data.push(chunk));
    await once(socket, 'connect');
    socket.write(`${request.replaceAll(SERVER, target.authority).replaceAll('\n', '\r\n')}\r\n\r\n`);
    const head = async () => {
      while (!Buffer.concat(data).includes('\r\n\r\n')) await once(socket, 'data');
      return Buffer.concat(data).toString('latin1').split('\r\n\r\n')[0];
    };
    const seen = await within(30_000, 'the answer', head());
    socket.destroy();
    assert.equal(seen.replaceAll('\r\n', '\n'), answer);
  })],
  says('the four events, by listener', 'events'),
  ['a server that vanishes: a close with 1006, and in Chromium no error', (world) => withServer(world, 'guide_echo', async (target) => {
    const script = await Script.run(world, 'events.js', target.http, { replaced: { [SERVER]: target.authority } });
    const before = lines('events.txt');
    await script.console.are(before);
    target.kill();
    await script.console.are([...before, 'close 1006 ']);
    await script.close();
  })],
  says('the four events, by slot', 'slots'),
  says('a slot holds one, listeners are many', 'one_slot'),
  says('too early is an error that is thrown', 'early'),
  says('text and bytes', 'data'),
  says('bytes are a Blob unless asked otherwise', 'blob'),
  says('what was sent waits, and is counted', 'waiting'),
  says('a close with a code and a reason', 'close'),
  says('which codes a page may give', 'codes'),
  says('the ten lines that a program has, too', 'same'),
  ['what else throws at once, and what does not', (world) => withServer(world, 'guide_echo', async (target) => {
    const page = await world.browser.newPage();
    await page.goto(target.http);
    const seen = await page.evaluate((url) => new Promise((resolve) => {
      const thrown = (act) => {
        try {
          act();
          return 'nothing';
        } catch (error) {
          return error.name;
        }
      };
      const address = thrown(() => new WebSocket('ftp://127.0.0.1'));
      const socket = new WebSocket(url);
      socket.onopen = () => {
        const long = thrown(() => socket.close(4000, '소'.repeat(42)));
        socket.close(4000, '소'.repeat(41));
        socket.onclose = () => resolve([address, long, thrown(() => socket.send('too late')), socket.readyState]);
      };
    }), target.ws);
    await page.close();
    assert.deepEqual(seen, ['SyntaxError', 'SyntaxError', 'nothing', 3]);
  })],
  ['the server of the page, without TLS', (world) => withServer(world, 'guide_echo', async (target) => {
    const script = await Script.run(world, 'own.js', target.http);
    await script.console.are(lines('own.txt').slice(0, 1));
    await script.close();
  })],
  ['the server of the page, with TLS', async (world) => {
    const target = await Target.start(world.binary, ['echo', '--listen', '127.0.0.1:0', '--tls-self-signed']);
    try {
      const script = await Script.run(world, 'own.js', `https://${target.authority}/`, { ignoreHTTPSErrors: true });
      await script.console.are(lines('own.txt').slice(1));
      await script.close();
    } finally {
      target.kill();
    }
  }],
  ['where nobody answers, the error says nothing and a close follows', (world) => withServer(world, 'guide_echo', async (target) => {
    // It hangs up on everybody. A port at which nobody listens looks the same, and that is what the case is about; but
    // somebody else could take such a port.
    const nobody = net.createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(nobody, 'listening');
    const place = `127.0.0.1:${nobody.address().port}`;
    const script = await Script.run(world, 'error.js', target.http, { replaced: { '127.0.0.1:9002': place } });
    await script.console.are(lines('error.txt'));
    await script.close();
    nobody.close();
  })],
  ['a refusal looks just the same', (world) => withServer(world, 'guide_echo', async (target) => {
    // The page is of another origin than the server that it talks to.
    await withServer(world, 'guide_echo', async (other) => {
      const script = await Script.run(world, 'error.js', target.http, { replaced: { '127.0.0.1:9002': other.authority } });
      await script.console.are(lines('error.txt'));
      await script.close();
      assert.deepEqual(other.said.all, [], 'nobody came in');
    });
  })],
  ['what the limits do, at both ends', (world) => withServer(world, 'guide_limits', async (target) => {
    const script = await Script.run(world, 'too_big.js', target.http, { replaced: { [SERVER]: target.authority } });
    await script.console.are(lines('too_big.txt'));
    await target.said.are(lines('too_big.server.txt'));
    await script.close();
  })],
  ['it comes back when the server does', async (world) => {
    let target = await start(world, 'guide_echo');
    const { authority } = target;
    const script = await Script.run(world, 'again.js', target.http, { replaced: { [SERVER]: authority } });
    try {
      await script.console.until('the first greeting', (all) => all.includes('message hello'));
      target.kill();
      await script.console.until('the close', (all) => all.includes('close'));
      target = await Target.start(path.join(world.examples, 'guide_echo'), [authority]);
      await script.console.until('the second greeting', (all) => all.filter((line) => line === 'message hello').length === 2);
      await script.close();
    } finally {
      target.kill();
    }
  }],
  ['a page that came by https may not use ws, except to its own machine', async (world) => {
    const target = await Target.start(world.binary, ['echo', '--listen', '127.0.0.1:0', '--tls-self-signed']);
    const origin = `https://${target.authority}`;
    const local = await Target.start(world.binary, ['serve', '--listen', '127.0.0.1:0', '--allow-origin', origin]);
    try {
      const context = await world.browser.newContext({ ignoreHTTPSErrors: true });
      const page = await context.newPage();
      await page.goto(`${origin}/`);
      const open = (url) => page.evaluate((url) => new Promise((resolve) => {
        try {
          const socket = new WebSocket(url);
          socket.onopen = () => resolve('open');
          socket.onclose = ({ code }) => resolve(code);
        } catch (error) {
          resolve(error.name);
        }
      }), url);
      // The browser refuses before it connects, so nothing leaves the machine. 192.0.2.1 is nobody's (RFC 5737).
      assert.equal(await open('ws://192.0.2.1:9001/'), 'SecurityError');
      assert.equal(await open(`${local.ws}/ws`), 'open');
      await context.close();
    } finally {
      target.kill();
      local.kill();
    }
  }],
  ['an address at which somebody listens is taken, and an address of others is not ours', async (world) => {
    await withServer(world, 'guide_echo', async (target) => {
      const places = [target.authority, '127.0.0.1:0', '192.0.2.1:9001'];
      const { stdout } = await run(path.join(world.examples, 'guide_bind'), places);
      const said = stdout.trimEnd().split('\n');
      assert.match(said[0], /: Address already in use/);
      assert.match(said[1], /^127\.0\.0\.1:0: bound, as 127\.0\.0\.1:[1-9]\d*$/);
      assert.match(said[2], /: Cannot assign requested address/);
    });
  }],
];
