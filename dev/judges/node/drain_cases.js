'use strict';
// SIGTERM: everybody hears 1001, and the server ends with 0.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const WebSocket = require('ws');

module.exports.drainCases = [
  ['SIGTERM tells 20 clients 1001 and ends with 0', async ({ target }) => {
    const sockets = await Promise.all(Array.from({ length: 20 }, async () => {
      const socket = new WebSocket(target.ws);
      await once(socket, 'open');
      return socket;
    }));
    const codes = Promise.all(sockets.map(async (socket) => (await once(socket, 'close'))[0]));
    assert.equal(await target.stop(), 0);
    assert.deepEqual([...new Set(await codes)], [1001]);
  }],
  ['without clients SIGTERM ends with 0', async ({ limited }) => {
    assert.equal(await limited.stop(), 0);
  }],
];
