//! Results on a page of the documentation: a section between two marks is written anew, and its pictures beside it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::failure::{Failure, Result, While};
use crate::machine;
use crate::plot::Plot;
use crate::recipe::{self, Recipe};

/// What a figure without is worth nothing: the day, the machine, how it was measured, the versions of others.
pub(crate) fn facts(how: String, recipes: &[Recipe]) -> Result<Vec<String>> {
    let versions = recipe::versions(recipes)?;
    let mut facts = vec![machine::day(), machine::facts(), how];
    facts.extend(Some(versions).filter(|versions| !versions.is_empty()));
    Ok(facts)
}

/// What one command has measured.
#[derive(Debug)]
pub(crate) struct Section {
    /// Which marks it stands between: `<!-- NAME: written by sotong-bench -->` and `<!-- NAME: end -->`.
    pub(crate) name: String,
    /// The machine, the settings, the versions: one line each.
    pub(crate) facts: Vec<String>,
    pub(crate) parts: Vec<Part>,
}

/// A table, and a picture of it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) plot: Plot,
}

impl Section {
    /// Writes it into `page`; pictures go to a folder beside it that is called as the page is.
    pub(crate) fn write(&self, page: &Path) -> Result<()> {
        let text = fs::read_to_string(page).during(format_args!("reading {}", page.display()))?;
        let stem = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = page.with_file_name(&stem);
        fs::create_dir_all(&folder).during(format_args!("making {}", folder.display()))?;
        for part in &self.parts {
            let file = folder.join(format!("{}.svg", part.plot.name));
            fs::write(&file, part.plot.svg()).during(format_args!("writing {}", file.display()))?;
        }
        fs::write(page, self.placed(&text, &stem)?).during(format_args!("writing {}", page.display()))
    }

    /// The page with this section in its place.
    fn placed(&self, page: &str, folder: &str) -> Result<String> {
        let [begin, end] =
            ["written by sotong-bench", "end"].map(|word| format!("<!-- {}: {word} -->", self.name));
        let places = page.find(&begin).zip(page.find(&end));
        let Some((from, to)) = places.filter(|(from, to)| from < to) else {
            return Err(Failure::new(format!("the page has no lines {begin:?} and {end:?}, in this order")));
        };
        Ok(format!("{}{begin}\n{}{}", &page[..from], self.markdown(folder), &page[to..]))
    }

    fn markdown(&self, folder: &str) -> String {
        let mut text = format!("\n{}\n", self.facts.join(". ") + ".");
        for Part { heads, rows, plot } in &self.parts {
            // Writing to a String does not fail.
            let _ = writeln!(text, "\n![{}]({folder}/{}.svg)\n", plot.title, plot.name);
            let rule = vec!["---"; heads.len()].join(" | ");
            let _ = writeln!(text, "| {} |\n| {rule} |", heads.join(" | "));
            for row in rows {
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        Section {
            name: "cpu".into(),
            facts: vec!["A machine".into(), "7 rounds".into()],
            parts: vec![Part {
                heads: vec!["server".into(), "us".into()],
                rows: vec![vec!["raw".into(), "1.0".into()]],
                plot: Plot { name: "cpu-1".into(), title: "A cell".into(), bars: vec![] },
            }],
        }
    }

    #[test]
    fn the_section_is_replaced_and_all_else_stays() {
        let page = "# Title\n<!-- cpu: written by sotong-bench -->\nold\n<!-- cpu: end -->\nafter\n";
        let once = section().placed(page, "performance").expect("it has its marks");
        assert!(
            once.starts_with("# Title\n<!-- cpu: written") && once.ends_with("<!-- cpu: end -->\nafter\n")
        );
        assert!(!once.contains("old") && once.contains("| raw | 1.0 |"), "{once}");
        assert!(once.contains("A machine. 7 rounds.") && once.contains("![A cell](performance/cpu-1.svg)"));
        assert_eq!(section().placed(&once, "performance").expect("it has them still"), once);
    }

    #[test]
    fn a_page_without_its_marks_is_left_alone() {
        for page in ["", "<!-- cpu: end -->\n<!-- cpu: written by sotong-bench -->", "<!-- cpu: end -->"] {
            assert!(section().placed(page, "performance").is_err());
        }
    }
}
