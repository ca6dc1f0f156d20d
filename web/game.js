// The page with the game.

import "./strings_game.js";

import { startLanguages } from "./strings.js";

startLanguages(document.getElementById("languages"));
