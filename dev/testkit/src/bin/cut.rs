//! Cuts the snippets of the guide anew: `cargo run -p sotong-testkit --bin cut`.

use sotong_testkit::cuts::refreshed;
use sotong_testkit::tree;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for page in ["docs/guide.md", "docs/guide.ko.md"] {
        let text = tree::read(page).ok_or_else(|| format!("there is no {page}"))?;
        let fresh = refreshed(&text, tree::read).map_err(|error| format!("{page}: {error}"))?;
        if fresh != text {
            std::fs::write(tree::root().join(page), fresh)?;
            eprintln!("{page} is cut anew");
        }
    }
    Ok(())
}
