// The words of the page with the game.

import { addWords } from "./strings.js";

addWords({
  en: { game_title: "Game · Sotong" },
  ko: { game_title: "게임 · 소통" },
});
