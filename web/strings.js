// The words of the pages, in Korean and in English.

import { recall, remember } from "./memory.js";

const STRINGS = {
  en: {
    // all pages
    chat: "Chat",
    ticker: "Prices",
    game: "Game",
    pages: "Pages",
    pause: "Pause",
    go_on: "Go on",
    state_connecting: "Connecting",
    state_open: "Connected",
    state_waiting: "Back in {seconds} s",
    state_closed: "Closed",
    state_closed_because: "Closed ({code}): {reason}",
    state_closed_code: "Closed ({code})",
    retry_now: "Now",
    retry_again: "Connect again",
    frames: "Frames",
    frames_hint: "Every message as it passes. Open one to read it.",
    frame_out: "sent",
    frame_in: "received",
    frame_event: "event",
    clear: "Clear",
    copy: "Copy",
    copied: "Copied",
    language: "Language",

    // the first page
    home_title: "Sotong: a line that stays open",
    home_heading: "A line that stays open",
    home_lead:
      "A WebSocket is one connection between a page and a server that stays. Both may speak, at any time, until one of them closes it.",
    home_http: "The page asks, the server answers, and that is all. News waits until the page asks again.",
    home_websocket: "Asked for once, by HTTP; then whoever has something to say says it.",
    home_ways: "What it is good for",
    home_chat: "Many speak, and all hear.",
    home_ticker: "The server speaks unasked, and asks.",
    home_game: "Twenty times a second, in bytes.",
    home_live: "This page has just opened one",
    home_page: "This page",
    home_server: "The server",
    home_age: "open for {seconds} s",
    home_ask: "Speak",
    home_answer: "Answered in {ms} ms.",
    home_no_answer: "No answer.",
    home_listen: "Listen",
    home_listening: "Asked for once; now {count} prices come by themselves.",
    home_listened: "They came by themselves. That was the last one.",
    home_close: "Close",
    home_where: "Where it leads",
    home_where_text:
      "A protocol, an address and a port: together they name the other end. wss is ws through TLS, as https is http.",
    home_events: "Four events",
    home_event_open: "the line stands",
    home_event_message: "the other end spoke",
    home_event_error: "it failed; close follows",
    home_event_close: "over, with code and reason",
    home_methods: "Two methods",
    home_method_send: "say something: text or bytes",
    home_method_close: "say goodbye",
    home_code: "The whole of it, in a page",
    home_code_hint: "Paste it into the console of this page (F12).",

    // chat
    chat_title: "Chat · Sotong",
    rooms: "Rooms",
    room_lobby: "Lobby",
    room_questions: "Questions",
    room_ideas: "Ideas",
    room_new: "New room",
    room_go: "Go",
    room_name: "Name of the room",
    people: "People",
    you: "you",
    your_name: "Your name",
    guest: "Guest {number}",
    messages: "Messages",
    say: "Say something",
    send: "Send",
    joined: "{name} came in",
    left: "{name} left",
    renamed: "{before} is now {name}",
    empty: "Nobody has said anything yet. A room and what was said in it last as long as somebody is here.",
    anew: "The room began anew. What was said before is on this page only.",
    skipped: "{count} messages were missed",
    unsent: "Not sent: {reason}",
    not_connected: "there is no connection",
    too_long: "it has {bytes} bytes, and {max} are allowed",
    newer: "Newer messages",
    by_hand: "The same by hand",
    by_hand_hint: "Paste it into the console of this page (F12), and see it arrive.",
    by_hand_text: "Hello, by hand",
  },
  ko: {
    chat: "채팅",
    ticker: "시세",
    game: "게임",
    pages: "페이지",
    pause: "멈춤",
    go_on: "계속",
    state_connecting: "연결하는 중",
    state_open: "연결됨",
    state_waiting: "{seconds}초 뒤 다시 연결",
    state_closed: "닫힘",
    state_closed_because: "닫힘 ({code}): {reason}",
    state_closed_code: "닫힘 ({code})",
    retry_now: "지금",
    retry_again: "다시 연결",
    frames: "프레임",
    frames_hint: "오가는 메시지를 그대로 보여 줍니다. 눌러서 펼쳐 보세요.",
    frame_out: "보냄",
    frame_in: "받음",
    frame_event: "이벤트",
    clear: "지우기",
    copy: "복사",
    copied: "복사함",
    language: "언어",

    home_title: "소통 · 열려 있는 연결",
    home_heading: "끊지 않고 열어 두는 연결",
    home_lead:
      "WebSocket은 페이지와 서버 사이에 열린 채로 남는 연결입니다. 어느 한쪽이 닫을 때까지 양쪽 모두 언제든 먼저 말할 수 있습니다.",
    home_http: "페이지가 묻고 서버가 답하면 끝입니다. 새 소식이 있어도 다시 물을 때까지 기다립니다.",
    home_websocket: "HTTP로 한 번만 청합니다. 그다음에는 할 말이 있는 쪽이 말합니다.",
    home_ways: "어디에 쓰나",
    home_chat: "여럿이 말하고 모두가 듣습니다.",
    home_ticker: "서버가 먼저 말하고, 묻기도 합니다.",
    home_game: "1초에 스무 번, 바이트로.",
    home_live: "이 페이지가 방금 하나 열었습니다",
    home_page: "이 페이지",
    home_server: "서버",
    home_age: "{seconds}초째 열려 있음",
    home_ask: "말하기",
    home_answer: "{ms} ms 만에 답이 왔습니다.",
    home_no_answer: "답이 없습니다.",
    home_listen: "듣기",
    home_listening: "한 번만 청했습니다. 이제 시세 {count}개가 저절로 옵니다.",
    home_listened: "저절로 왔습니다. 방금 것이 마지막입니다.",
    home_close: "닫기",
    home_where: "어디로 이어지나",
    home_where_text:
      "프로토콜, 주소, 포트. 이 셋이 모여 상대편을 가리킵니다. wss는 TLS를 거친 ws입니다. http에 https가 있는 것과 같습니다.",
    home_events: "이벤트 네 가지",
    home_event_open: "연결되었다",
    home_event_message: "상대편이 말했다",
    home_event_error: "문제가 생겼다. 곧 close가 온다",
    home_event_close: "끝났다. 코드와 이유가 함께 온다",
    home_methods: "메서드 두 가지",
    home_method_send: "말하기: 글자 또는 바이트",
    home_method_close: "작별 인사",
    home_code: "페이지에서는 이것이 전부",
    home_code_hint: "이 페이지의 콘솔(F12)에 붙여 넣어 보세요.",

    chat_title: "채팅 · 소통",
    rooms: "방",
    room_lobby: "로비",
    room_questions: "질문",
    room_ideas: "아이디어",
    room_new: "새 방",
    room_go: "입장",
    room_name: "방 이름",
    people: "사람",
    you: "나",
    your_name: "내 이름",
    guest: "손님 {number}",
    messages: "메시지",
    say: "메시지를 입력하세요",
    send: "보내기",
    joined: "{name} 님이 들어왔습니다",
    left: "{name} 님이 나갔습니다",
    renamed: "{before} 님이 이름을 바꾸었습니다. 새 이름: {name}",
    empty: "아직 아무도 말하지 않았습니다. 방과 그 안의 이야기는 누군가 있는 동안만 남습니다.",
    anew: "방이 새로 시작되었습니다. 앞선 메시지는 이 화면에만 남아 있습니다.",
    skipped: "메시지 {count}개를 놓쳤습니다",
    unsent: "보내지 못함: {reason}",
    not_connected: "연결되어 있지 않습니다",
    too_long: "{bytes}바이트입니다. {max}바이트까지 보낼 수 있습니다",
    newer: "새 메시지",
    by_hand: "손으로 해 보기",
    by_hand_hint: "이 페이지의 콘솔(F12)에 붙여 넣으면 채팅에 나타납니다.",
    by_hand_text: "손으로 보낸 인사",
  },
};

const NAMES = { ko: "한국어", en: "English" };

let current = firstLanguage();
const listeners = new Set();

function firstLanguage() {
  const wanted = [recall("language"), ...(navigator.languages ?? [navigator.language])];
  for (const tag of wanted) {
    const language = tag?.split("-")[0];
    if (Object.hasOwn(STRINGS, language ?? "")) return language;
  }
  return "en";
}

/** Adds the words of one page: `{ en: { key: words }, ko: { key: words } }`. */
export function addWords(more) {
  for (const code of Object.keys(STRINGS)) Object.assign(STRINGS[code], more[code]);
}

/** The words for `key`, with `{name}` replaced by `values.name`. */
export function words(key, values = {}) {
  return STRINGS[current][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function language() {
  return current;
}

/** Puts words into everything that asks for them: data-words (text), data-label (aria-label), data-hint (placeholder). */
function translate() {
  document.documentElement.lang = current;
  document.title = words(document.documentElement.dataset.title);
  for (const each of document.querySelectorAll("[data-words]")) each.textContent = words(each.dataset.words);
  for (const each of document.querySelectorAll("[data-label]")) each.ariaLabel = words(each.dataset.label);
  for (const each of document.querySelectorAll("[data-hint]")) each.placeholder = words(each.dataset.hint);
}

/** Calls `listener` now, and whenever the language changes. */
export function onLanguage(listener) {
  listeners.add(listener);
  listener();
}

/** Makes the buttons of the language switch, and translates the page. */
export function startLanguages(group) {
  for (const [code, name] of Object.entries(NAMES)) {
    const button = document.createElement("button");
    button.type = "button";
    button.lang = code;
    button.textContent = name;
    button.addEventListener("click", () => {
      current = code;
      remember("language", code);
      for (const listener of listeners) listener();
    });
    onLanguage(() => (button.ariaPressed = String(code === current)));
    group.append(button);
  }
  onLanguage(translate);
}
