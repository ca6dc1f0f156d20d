//! Every snippet of the guide is what a file has that a test runs, in both languages.

use std::collections::BTreeSet;

use sotong_testkit::cuts::{complaints, cuts, fences, refreshed, regions, source, unused};
use sotong_testkit::tidiness::shell_commands;
use sotong_testkit::tree::{self, File};

const PAGES: [&str; 2] = ["docs/guide.md", "docs/guide.ko.md"];

fn page(path: &str) -> File {
    File { path: path.to_owned(), text: tree::read(path).expect("the guide is there") }
}

/// The files that snippets are cut from.
fn sources() -> Vec<File> {
    let mut files = tree::files("docs/guide");
    files.extend(
        tree::files("crates/sotong/examples").into_iter().filter(|file| file.path.contains("/guide_")),
    );
    assert!(files.len() > 20, "the guide's files are found");
    files
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_snippet_is_what_its_file_has() {
    for path in PAGES {
        assert_none(&complaints(&page(path), tree::read));
    }
}

#[test]
fn both_languages_show_the_same() {
    let [english, korean] = PAGES.map(|path| page(path).text);
    assert_eq!(cuts(&english), cuts(&korean));
    assert_eq!(shell_commands(&english), shell_commands(&korean));
    assert!(cuts(&english).len() > 20, "the guide shows something");
}

#[test]
fn nothing_is_marked_and_not_shown() {
    let shown: BTreeSet<String> = PAGES.iter().flat_map(|path| cuts(&page(path).text)).collect();
    let sources = sources();
    for file in &sources {
        if let Err(error) = regions(&file.text) {
            panic!("{}: {error}", file.path);
        }
    }
    assert_none(&unused(&sources, &shown));
}

/// A guide that names a page of the repository leads somewhere.
#[test]
fn links_lead_to_files() {
    for path in PAGES {
        let text = page(path).text;
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        let local: Vec<&str> = links.filter(|link| !link.contains("://") && !link.starts_with('#')).collect();
        assert!(local.len() > 5, "{path} leads somewhere");
        for link in local {
            let file = link.split('#').next().unwrap_or_default();
            let target = tree::root().join("docs").join(file);
            assert!(target.exists(), "{path}: {link} leads nowhere");
        }
    }
}

const SOURCE: &str = "a\n  // guide: one\n  let x = 1;\n\n    f(x);\n  // guide: end\n<!-- guide: two -->\n<p>\n<!-- guide: end -->\n";

fn read(path: &str) -> Option<String> {
    match path {
        "a.rs" => Some(SOURCE.to_owned()),
        "a.txt" => Some("open\n".to_owned()),
        _ => None,
    }
}

fn of(text: &str) -> File {
    File { path: "page.md".to_owned(), text: text.to_owned() }
}

#[test]
fn regions_lose_the_indentation_that_all_lines_have() {
    let [one, two] = ["let x = 1;\n\n  f(x);\n", "<p>\n"].map(str::to_owned);
    assert_eq!(regions(SOURCE), Ok(vec![("one".to_owned(), one.clone()), ("two".to_owned(), two)]));
    assert_eq!(source("a.rs#one", read), Ok(one));
    assert_eq!(source("a.txt", read).as_deref(), Ok("open\n"));
    assert_eq!(source("a.rs#three", read), Err("a.rs has no region three".to_owned()));
    assert_eq!(source("b.rs#one", read), Err("there is no file b.rs".to_owned()));
}

#[test]
fn marks_that_do_not_fit_are_errors() {
    assert!(regions("// guide: a\n").is_err(), "no end");
    assert!(regions("// guide: end\n").is_err(), "no beginning");
    assert!(regions("// guide: a\n// guide: b\n// guide: end\n").is_err(), "one inside another");
    assert!(regions("// guide: a\n// guide: end\n// guide: a\n// guide: end\n").is_err(), "twice");
}

#[test]
fn a_snippet_that_differs_or_comes_from_nowhere_is_seen() {
    let good = "<!-- cut: a.rs#one -->\n```rust\nlet x = 1;\n\n  f(x);\n```\n\n```sh\nls\n```\n";
    assert_eq!(complaints(&of(good), read), Vec::<String>::new());
    for (bad, line) in [
        (good.replace("x = 1", "x = 2"), 2),
        (good.replace("a.rs#one", "a.rs#two"), 2),
        (good.replace("a.rs#one", "b.rs"), 2),
        (good.replace("```sh", "```js"), 8),
        (good.replace("```sh", "```rust,no_run"), 8),
        (good.replace("one -->\n", "one -->\n\n"), 3),
    ] {
        let seen = complaints(&of(&bad), read);
        assert_eq!(seen.len(), 1, "{bad}");
        assert!(seen[0].starts_with(&format!("page.md:{line}: ")), "{seen:?}");
    }
}

#[test]
fn what_no_page_shows_is_seen() {
    let files =
        ["a.rs", "a.txt"].map(|path| File { path: path.to_owned(), text: read(path).expect("it is") });
    let shown = BTreeSet::from(["a.rs#two".to_owned()]);
    assert_eq!(unused(&files, &shown), ["a.rs#one: no page shows it", "a.txt: no page shows it"]);
}

#[test]
fn a_page_is_cut_anew_and_nothing_else_of_it_changes() {
    let stale = "# A\n<!-- cut: a.rs#two -->\n```html\nold\nolder\n```\nb\n```sh\nls\n```\n<!-- cut: a.txt -->\n```text\n```\n";
    let fresh = refreshed(stale, read).expect("all sources are there");
    assert_eq!(fresh, stale.replace("old\nolder\n", "<p>\n").replace("```text\n", "```text\nopen\n"));
    assert_eq!(fences(&fresh).len(), 3);
    assert!(refreshed("<!-- cut: b.rs -->\n```rust\n```\n", read).is_err());
}
