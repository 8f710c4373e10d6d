//! The guide, as mdBook builds it. Tidy checks the links of its sources; this checks those of the
//! pages that were built from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::packages::{has_program, provide};
use super::{Trouble, Verdict, capture};

/// Without its web server and its search, mdBook takes a third of the time to compile.
const INSTALL: &str = "cargo install mdbook --locked --version 0.5.4 --no-default-features";

/// Builds the book and checks the links between its pages. Needs no network, except to install.
pub(super) fn build(root: &Path) -> Verdict {
    provide("mdbook", &[INSTALL], || has_program("mdbook"))?;
    let book = root.join("target/guide");
    // A page of an earlier run would hide that this run builds none.
    let _ = fs::remove_dir_all(&book);
    let mut build = Command::new("mdbook");
    build.current_dir(root).args(["build", "docs/guide"]);
    let output = capture(build.arg("--dest-dir").arg(&book)).map_err(Trouble::Failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    // mdBook reports what it cannot include, and goes on.
    if said.contains("ERROR") || said.contains("WARN") {
        return Err(Trouble::Failed("see what mdbook reports".to_owned()));
    }
    let pages = Pages::read(&book)?;
    let broken = pages.broken_links(&book);
    broken.iter().for_each(|link| println!("{link}"));
    if !broken.is_empty() {
        let text = format!("{} links of the built guide are broken", broken.len());
        return Err(Trouble::Failed(text));
    }
    println!("{} pages in {}", pages.0.len(), book.display());
    Ok(())
}

/// The pages by their names.
struct Pages(BTreeMap<String, String>);

impl Pages {
    fn read(book: &Path) -> Result<Self, Trouble> {
        let unreadable = |error| Trouble::Failed(format!("{}: {error}", book.display()));
        let mut pages = BTreeMap::new();
        for entry in book.read_dir().map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // The page for unknown addresses has absolute links.
            if name.ends_with(".html") && name != "404.html" {
                let content = fs::read_to_string(&path).map_err(unreadable)?;
                pages.insert(name.into_owned(), content);
            }
        }
        if pages.is_empty() {
            return Err(Trouble::Failed("mdbook has built no page".to_owned()));
        }
        Ok(Self(pages))
    }

    /// Returns a line for each link that leads to no file or no place in a page.
    fn broken_links(&self, book: &Path) -> Vec<String> {
        let mut broken = BTreeSet::new();
        for (name, content) in &self.0 {
            let targets = values(content, "href").chain(values(content, "src"));
            for target in targets.filter(|target| is_inside(target)) {
                let (file, place) = target.split_once('#').unwrap_or((target, ""));
                let file = if file.is_empty() { name } else { file };
                let leads_there = match self.0.get(file) {
                    Some(page) => place.is_empty() || values(page, "id").any(|id| id == place),
                    None => book.join(file).exists(),
                };
                if !leads_there {
                    broken.insert(format!("{name} links to {target}, which does not exist"));
                }
            }
        }
        broken.into_iter().collect()
    }
}

fn is_inside(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.is_empty()
}

/// Returns the values of an attribute, in the quotes with which mdBook writes them.
fn values<'a>(page: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {attribute}=\"");
    let starts: Vec<_> = page.match_indices(&start).collect();
    starts
        .into_iter()
        .filter_map(|(at, start)| page[at + start.len()..].split('"').next())
}
