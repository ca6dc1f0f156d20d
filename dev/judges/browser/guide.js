'use strict';
// The snippets of docs/guide.md in a real Chromium: scripts of docs/guide and pages of the library's examples, against the
// examples themselves.
//
//     node guide.js BINARY FOLDER_OF_EXAMPLES CHROMIUM     (NODE_PATH names the folder that holds `playwright-core` and `ws`)

const { runCases } = require('../node/cases');
const { launch } = require('./chromium');
const pageCases = require('./guide_page_cases');
const scriptCases = require('./guide_script_cases');

async function main(binary, examples, executablePath) {
  const browser = await launch(executablePath);
  try {
    const world = { binary, examples, browser };
    let failures = await runCases('guide: ', scriptCases, world, 60);
    failures += await runCases('guide: ', pageCases, world, 240);
    return failures === 0 ? 0 : 1;
  } finally {
    await browser.close();
  }
}

if (process.argv.length !== 5) {
  console.error('usage: node guide.js BINARY FOLDER_OF_EXAMPLES CHROMIUM');
  process.exit(2);
}
main(...process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
