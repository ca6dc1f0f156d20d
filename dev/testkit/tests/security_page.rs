//! `docs/security.md` and `docs/comparison.md` name tests; each of them exists in the file that it names.

use sotong_testkit::tree;

/// What is between backticks in a line.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// How many tests the page names, and what is wrong with it.
fn complaints(page: &str, read: impl Fn(&str) -> Option<String>) -> (usize, Vec<String>) {
    let (mut named, mut wrong) = (0, Vec::new());
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let mut file: Option<(&str, String)> = None;
        let proofs = line.split(" | ").last().unwrap_or_default();
        for span in spans(proofs) {
            if span.contains('/') && !span.starts_with("./") {
                file = read(span).map(|text| (span, text));
                if file.is_none() {
                    wrong.push(format!("{span}: there is no such file"));
                }
            } else if span.contains('_') {
                named += 1;
                match &file {
                    Some((_, text)) if text.contains(&format!("fn {span}(")) => {}
                    Some((path, _)) => wrong.push(format!("{path}: there is no test {span}")),
                    None => wrong.push(format!("{span}: no file is named before it")),
                }
            }
        }
    }
    (named, wrong)
}

#[test]
fn every_test_that_the_page_names_exists() {
    let page = tree::read("docs/security.md").expect("the page is there");
    let (named, wrong) = complaints(&page, tree::read);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(named > 100, "the page names {named} tests only");
}

/// The first cells of a page's table rows, without those of the heads.
fn features(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect()
}

#[test]
fn a_test_that_is_not_there_is_seen() {
    let read = |path: &str| (path == "a/b.rs").then(|| "#[test]\nfn it_is_here() {}".to_owned());
    let line = |proofs: &str| complaints(&format!("| some `a/x.rs` class | {proofs} |"), read);
    assert_eq!(line("`a/b.rs`: `it_is_here`"), (1, vec![]));
    assert_eq!(line("`a/b.rs`: `it_is_gone`"), (1, vec!["a/b.rs: there is no test it_is_gone".to_owned()]));
    assert_eq!(
        line("`a/b.rs`: `it_is`, `./test miri`"),
        (1, vec!["a/b.rs: there is no test it_is".to_owned()])
    );
    assert_eq!(line("`a/c.rs`").1, ["a/c.rs: there is no such file"]);
    assert_eq!(line("`it_is_here`").1, ["it_is_here: no file is named before it"]);
}

/// What the comparison says of us is a `no`, or it has a row among the proofs. What it says of others is a link, or a word
/// beside one that is nobody's claim.
#[test]
fn what_the_comparison_says_is_shown() {
    let page = tree::read("docs/comparison.md").expect("the page is there");
    let (named, wrong) = complaints(&page, tree::read);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(named > 40, "the page names {named} tests only");
    let (claims, proofs) = page.split_once("## What shows our column").expect("it has that part");
    let (_, claims) = claims.split_once("## The browser's object").expect("it begins with that table");
    let shown = features(proofs);
    for line in claims.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [feature, ours, others @ ..] = &cells[..] else { panic!("a row with too few cells: {line}") };
        if feature.is_empty() || *ours == "Sotong" {
            continue;
        }
        assert!(*ours == "no" || shown.contains(feature), "nothing shows: {feature}");
        assert_eq!(others.len(), 8, "one cell for each of the others: {line}");
        for other in others {
            assert!(
                *other == "–" || *other == "it is one" || other.starts_with('['),
                "{feature}: {other} has no link"
            );
            if let Some((_, reference)) = other.rsplit_once("][") {
                let reference = format!("\n[{}: https://", reference);
                assert!(page.contains(&reference), "no such link: {reference}");
            }
        }
    }
}
