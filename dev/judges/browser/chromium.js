'use strict';
// Chromium without a window, and with a new and empty profile each time.

const { chromium } = require('playwright-core');

// Without them Chromium calls home at every start, which a closed network makes slow and loud.
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

const launch = (executablePath) => chromium.launch({ executablePath, args: ARGUMENTS, headless: true });

module.exports = { launch };
