//! The page of `sotong bench --html`: its figures, and nothing that runs or is loaded.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod load;
mod opposite;
mod program;

use std::path::PathBuf;
use std::process::Output;

use load::{bench, echo, parsed, server};
use opposite::TEXT;
use program::one_line;
use sotong_hub::cli::Exit;

/// Runs with a page, and removes it.
fn with_page(name: &str, url: &str, options: &[&str]) -> (Output, String) {
    let path = std::env::temp_dir().join(format!("sotong-bench-{}-{name}.html", std::process::id()));
    let output =
        bench(url, &[options, &["--json", "--html", path.to_str().unwrap()]].concat()).output().unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    (output, page)
}

/// Nothing that a browser would run or fetch.
#[track_caller]
fn is_inert(page: &str) {
    let lower = page.to_lowercase();
    for word in ["<script", "javascript:", "src=", "href=", "url(", "@import", " on", "<iframe", "<img"] {
        // `on` begins words, too: only as an attribute it would be one.
        let found = match word {
            " on" => lower.split('<').skip(1).any(|tag| {
                let tag = tag.split('>').next().unwrap_or_default();
                tag.split_whitespace().skip(1).any(|attribute| attribute.starts_with("on"))
            }),
            word => lower.contains(word),
        };
        assert!(!found, "{word:?} is in {page}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_page_has_the_figures_of_the_json() {
    let (_program, url) = echo(&[]);
    for (name, options) in [("flight", &["--in-flight", "2"][..]), ("rate", &["--rate", "300"])] {
        let (output, page) = with_page(name, &url, options);
        let report = parsed(&output);
        is_inert(&page);
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        let done = report["window"]["done"].to_string();
        let done = if done.len() > 3 {
            format!("{} {}", &done[..done.len() - 3], &done[done.len() - 3..])
        } else {
            done
        };
        assert!(page.contains(&format!("<b>{done}</b>")), "{done} is not in {page}");
        for words in ["p99.9", "<svg", "class=\"line b\"", "prefers-color-scheme:dark", "3 of 3", "cores"] {
            assert!(page.contains(words), "{words:?} is not in {page}");
        }
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.contains("sent late by"), name == "rate");
        // Every element that is opened is closed.
        for tag in ["section", "table", "tr", "td", "div", "svg", "ul", "li", "main", "p", "b", "span"] {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

#[test]
fn what_a_server_says_is_text_in_the_page() {
    let url = server(|conversation, before, opcode, payload| {
        if before == 0 {
            conversation.send(TEXT, b"<script>alert('x')</script>\x1b[2J");
        }
        match before {
            4 => conversation.close(4000, "<img src=x onerror=alert(1)>"),
            _ => conversation.send(opcode, payload),
        }
    });
    let (_, page) = with_page("hostile", &url, &[]);
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)") && page.contains("\\e[2J"), "{page}");
    assert!(page.contains("&lt;img src=x onerror"), "{page}");
    is_inert(&page.replace("&lt;img src=x onerror", ""));
}

#[test]
fn a_page_that_cannot_be_written_is_told_before_anything_starts() {
    let output = bench("ws://127.0.0.1:1/", &["--html", "/no/such/place.html"]).output().unwrap();
    one_line(&output, Exit::Failed, &["--html /no/such/place.html", "cannot be written"]);
    let directory: PathBuf = std::env::temp_dir();
    let output = bench("ws://127.0.0.1:1/", &["--html", directory.to_str().unwrap()]).output().unwrap();
    one_line(&output, Exit::Failed, &["--html"]);
}
