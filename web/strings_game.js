// The words of the page with the game.

import { addWords } from "./strings.js";

addWords({
  en: {
    game_title: "Game · Sotong",
    game_arena: "An arena for everybody",
    game_arena_hint:
      "Collect the gems. The server decides where everybody is, twenty times a second; this page says which keys are held.",
    game_keys: "Steer",
    game_keys_hint: "Arrow keys, W A S D, or press here and slide.",
    game_pad: "Direction",
    game_players: "Players",
    game_name: "Name",
    game_score: "Gems",
    game_where: "Where",
    game_rename: "Rename",
    game_latency: "There and back: {ms} ms",
    game_scored: "Gems: {count}",
    game_nearest: "Nearest gem: {x} {y}",
    game_full: "The arena is full: 64 play already. This page tries again by itself.",
    game_by_hand_hint: "Paste it into the console of this page (F12): somebody comes in, and goes to the right.",
  },
  ko: {
    game_title: "게임 · 소통",
    game_arena: "모두의 놀이터",
    game_arena_hint:
      "보석을 모으세요. 누가 어디 있는지는 서버가 1초에 스무 번 정하고, 이 페이지는 누르고 있는 키만 알립니다.",
    game_keys: "움직이기",
    game_keys_hint: "방향키나 W A S D를 누르거나, 여기를 누른 채 밀어 보세요.",
    game_pad: "방향 패드",
    game_players: "참가자",
    game_name: "이름",
    game_score: "보석",
    game_where: "위치",
    game_rename: "바꾸기",
    game_latency: "왕복 시간: {ms} ms",
    game_scored: "보석 {count}개",
    game_nearest: "가장 가까운 보석: {x} {y}",
    game_full: "자리가 없습니다. 이미 64명이 놀고 있습니다. 이 페이지가 알아서 다시 시도합니다.",
    game_by_hand_hint: "이 페이지의 콘솔(F12)에 붙여 넣으면 누군가 들어와 오른쪽으로 갑니다.",
  },
});
