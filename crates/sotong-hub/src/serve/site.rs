//! The files of `web/`, inside the binary.

/// A file that a browser may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub(super) content_type: &'static str,
    pub(super) body: &'static [u8],
    /// Changes when the body does, so that a browser can ask whether what it has is still right.
    pub(super) etag: u64,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! file {
    ($content_type:expr, $name:literal) => {
        File::new($content_type, include_bytes!(concat!("../../../../web/", $name)))
    };
}

static SITE: [(&str, File); 33] = [
    ("/", file!(HTML, "index.html")),
    ("/chat", file!(HTML, "chat.html")),
    ("/ticker", file!(HTML, "ticker.html")),
    ("/game", file!(HTML, "game.html")),
    ("/style.css", file!(STYLE, "style.css")),
    ("/home.css", file!(STYLE, "home.css")),
    ("/chat.css", file!(STYLE, "chat.css")),
    ("/ticker.css", file!(STYLE, "ticker.css")),
    ("/game.css", file!(STYLE, "game.css")),
    ("/favicon.svg", file!(IMAGE, "favicon.svg")),
    ("/favicon.ico", file!(IMAGE, "favicon.svg")),
    ("/index.js", file!(SCRIPT, "index.js")),
    ("/arena_input.js", file!(SCRIPT, "arena_input.js")),
    ("/arena_state.js", file!(SCRIPT, "arena_state.js")),
    ("/arena_view.js", file!(SCRIPT, "arena_view.js")),
    ("/arena_wire.js", file!(SCRIPT, "arena_wire.js")),
    ("/chart.js", file!(SCRIPT, "chart.js")),
    ("/chat.js", file!(SCRIPT, "chat.js")),
    ("/frames.js", file!(SCRIPT, "frames.js")),
    ("/game.js", file!(SCRIPT, "game.js")),
    ("/hub.js", file!(SCRIPT, "hub.js")),
    ("/latency.js", file!(SCRIPT, "latency.js")),
    ("/line.js", file!(SCRIPT, "line.js")),
    ("/memory.js", file!(SCRIPT, "memory.js")),
    ("/orders.js", file!(SCRIPT, "orders.js")),
    ("/page.js", file!(SCRIPT, "page.js")),
    ("/players.js", file!(SCRIPT, "players.js")),
    ("/socket.js", file!(SCRIPT, "socket.js")),
    ("/state.js", file!(SCRIPT, "state.js")),
    ("/strings.js", file!(SCRIPT, "strings.js")),
    ("/strings_game.js", file!(SCRIPT, "strings_game.js")),
    ("/strings_ticker.js", file!(SCRIPT, "strings_ticker.js")),
    ("/ticker.js", file!(SCRIPT, "ticker.js")),
];

/// The file at a path.
pub(super) fn find(path: &str) -> Option<File> {
    SITE.iter().find(|(known, _)| *known == path).map(|(_, file)| *file)
}

impl File {
    const fn new(content_type: &'static str, body: &'static [u8]) -> File {
        File { content_type, body, etag: fingerprint(body) }
    }
}

/// FNV-1a: good enough to tell versions of our own files apart; nobody else chooses them.
const fn fingerprint(body: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut index = 0;
    while index < body.len() {
        hash = (hash ^ body[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is written by hand; the folder tells whether it is complete.
    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web");
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let body = std::fs::read(&path).unwrap();
            assert!(SITE.iter().any(|(_, file)| file.body == body), "{} is not served", path.display());
            files += 1;
        }
        assert_eq!(files + 1, SITE.len(), "favicon.ico is another name for favicon.svg");
    }

    /// The page asks for what the server offers.
    #[test]
    fn the_page_with_prices_knows_the_symbols() {
        let page = find("/ticker.js").map(|file| std::str::from_utf8(file.body).unwrap()).unwrap();
        let symbols: Vec<String> =
            crate::core::Market::symbols().map(|symbol| format!("{symbol:?}")).collect();
        assert!(page.contains(&format!("const SYMBOLS = [{}];", symbols.join(", "))), "{symbols:?}");
    }

    /// A module that imports what is not served, or a page that links to it, is broken for everybody.
    #[test]
    fn everything_that_the_files_refer_to_is_served() {
        let mut references = 0;
        for (path, file) in &SITE {
            let text = std::str::from_utf8(file.body).unwrap();
            for (before, after) in
                [("import \"./", "\""), ("from \"./", "\""), ("src=\"/", "\""), ("href=\"/", "\"")]
            {
                for found in text.split(before).skip(1) {
                    let name = found.split(after).next().unwrap();
                    assert!(find(&format!("/{name}")).is_some(), "{path} refers to /{name}");
                    references += 1;
                }
            }
        }
        assert!(references > 20, "the search finds references at all");
    }

    /// The Content-Security-Policy forbids scripts and styles inside the pages: the browser would pass over them
    /// without a word on the page. And text is never made into markup.
    #[test]
    fn pages_have_nothing_inline_and_scripts_make_no_markup() {
        for (path, file) in &SITE {
            let text = std::str::from_utf8(file.body).unwrap();
            let forbidden: &[&str] = match file.content_type {
                HTML => &["<style", " style=", " onclick=", " onload=", "javascript:"],
                SCRIPT => &[
                    "innerHTML",
                    "outerHTML",
                    "insertAdjacentHTML",
                    "document.write",
                    "eval(",
                    "new Function",
                ],
                _ => &[],
            };
            for each in forbidden {
                assert!(!text.contains(each), "{path} has {each}");
            }
            assert_eq!(
                text.matches("<script").count(),
                text.matches("<script type=\"module\" src=").count(),
                "{path}"
            );
        }
    }
}
