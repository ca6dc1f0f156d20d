'use strict';
// A real Chromium, as people use it: they chat through `sotong serve`, watch its prices, and play.
// The cases of one page are one file, and one line here.
//
//     node chat.js BINARY CHROMIUM SCREENSHOT_FOLDER     (NODE_PATH names the folder that holds `axe-core`,
// `playwright-core` and `ws`)

const fs = require('node:fs');
const { runCases } = require('../node/cases');
const { Target } = require('../node/target');
const { launch } = require('./chromium');
const accessCases = require('./access_cases');
const byHandCases = require('./by_hand_cases');
const chatCases = require('./chat_cases');
const gameCases = require('./game_cases');
const homeCases = require('./home_cases');
const layoutCases = require('./layout_cases');
const originCases = require('./origin_cases');
const roomCases = require('./room_cases');
const tickerCases = require('./ticker_cases');
const { People } = require('./people');

async function main(binary, executablePath, screenshots) {
  fs.rmSync(screenshots, { recursive: true, force: true });
  fs.mkdirSync(screenshots, { recursive: true });
  const browser = await launch(executablePath);
  const world = { binary, browser, screenshots, people: new People(browser) };
  try {
    world.target = await Target.start(binary, ['serve', '--listen', '127.0.0.1:0']);
    let failures = await runCases('browser: ', originCases, world, 60);
    failures += await runCases('browser: home: ', homeCases, world, 90);
    failures += await runCases('browser: ', chatCases, world, 60);
    failures += await runCases('browser: chat: ', roomCases, world, 120);
    failures += await runCases('browser: by hand: ', byHandCases, world, 90);
    failures += await runCases('browser: ticker: ', tickerCases, world, 150);
    failures += await runCases('browser: game: ', gameCases, world, 150);
    failures += await runCases('browser: access: ', accessCases, world, 120);
    failures += await runCases('browser: ', layoutCases, world, 120);
    return failures === 0 ? 0 : 1;
  } finally {
    world.target?.kill();
    await browser.close();
  }
}

if (process.argv.length !== 5) {
  console.error('usage: node chat.js BINARY CHROMIUM SCREENSHOT_FOLDER');
  process.exit(2);
}
main(...process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
