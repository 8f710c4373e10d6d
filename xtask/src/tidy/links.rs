//! Checks the links of all documents: to files, to headings, and to what a page of the guide
//! includes. Links to other sites are not followed.

use std::collections::BTreeSet;

use super::{Text, Violation, Workspace};

/// The pages of the guide, all of which its table of contents names.
const GUIDE: &str = "docs/guide/src/";
const CONTENTS: &str = "docs/guide/src/SUMMARY.md";

pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for document in documents(&workspace.texts) {
        found.extend(broken_links(workspace, document));
        found.extend(broken_includes(workspace, document));
    }
    found.extend(unlisted_pages(workspace));
    found
}

fn documents(texts: &[Text]) -> impl Iterator<Item = &Text> {
    texts.iter().filter(|text| text.path.ends_with(".md"))
}

/// One link of a document.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: usize,
    target: String,
}

fn broken_links(workspace: &Workspace, document: &Text) -> Vec<Violation> {
    let mut found = Vec::new();
    for Link { line, target } in links(&document.content) {
        let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
        let path = resolve(&document.path, path);
        if !exists(workspace, &path) {
            let what = format!("links to {path}, which does not exist");
            found.push(violation(
                document,
                line,
                what,
                "link to the file that has it now",
            ));
        } else if !heading.is_empty() && !has_heading(workspace, &path, heading) {
            let what = format!("links to #{heading}, but {path} has no such heading");
            found.push(violation(
                document,
                line,
                what,
                "link to a heading of that file",
            ));
        }
    }
    found
}

fn broken_includes(workspace: &Workspace, document: &Text) -> Vec<Violation> {
    let mut found = Vec::new();
    for (line, content) in (1..).zip(document.content.lines()) {
        for include in content.split("{{#include ").skip(1) {
            let target = include.split("}}").next().unwrap_or_default().trim();
            let (path, anchor) = target.split_once(':').unwrap_or((target, ""));
            let path = resolve(&document.path, path);
            let source = workspace.texts.iter().find(|text| text.path == path);
            let what = match source {
                None => format!("includes {path}, which does not exist"),
                Some(source) if !has_anchor(source, anchor) => {
                    format!("includes the anchor {anchor}, which {path} does not have")
                }
                Some(_) => continue,
            };
            let remedy = "include a file with both ends of its anchor";
            found.push(violation(document, line, what, remedy));
        }
    }
    found
}

/// Finds the pages of the guide that readers cannot reach.
fn unlisted_pages(workspace: &Workspace) -> Vec<Violation> {
    let Some(contents) = documents(&workspace.texts).find(|text| text.path == CONTENTS) else {
        return Vec::new();
    };
    let listed: BTreeSet<_> = links(&contents.content)
        .into_iter()
        .map(|link| resolve(CONTENTS, &link.target))
        .collect();
    documents(&workspace.texts)
        .filter(|page| page.path.starts_with(GUIDE) && page.path != CONTENTS)
        .filter(|page| !listed.contains(&page.path))
        .map(|page| {
            let what = format!("is not in {CONTENTS}");
            violation(page, 1, what, "add a line for the page")
        })
        .collect()
}

fn violation(document: &Text, line: usize, what: String, remedy: &str) -> Violation {
    Violation {
        file: document.path.clone(),
        line,
        what,
        remedy: remedy.to_owned(),
    }
}

/// Returns the links to this repository, outside of code.
fn links(content: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, text) in prose(content) {
        // A link's text may begin on the line above, so only its end is looked for.
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !is_outside {
                let target = target.to_owned();
                found.push(Link { line, target });
            }
        }
    }
    found
}

/// Returns the lines of a document with their numbers, without blocks and pieces of code.
fn prose(content: &str) -> Vec<(usize, String)> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for (line, text) in (1..).zip(content.lines()) {
        if text.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push((line, text.split('`').step_by(2).collect()));
        }
    }
    lines
}

/// Returns the path that a link of `document` means, relative to the workspace's folder. An empty
/// one is the document itself.
fn resolve(document: &str, path: &str) -> String {
    if path.is_empty() {
        return document.to_owned();
    }
    let mut parts: Vec<_> = document.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|it| *it != "..") => {
                parts.pop();
            }
            // A path that leaves the workspace keeps its `..` and exists nowhere.
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns whether there is a file or a folder with this path.
fn exists(workspace: &Workspace, path: &str) -> bool {
    let folder = format!("{path}/");
    workspace.files.contains(path)
        || workspace
            .files
            .range(folder.clone()..)
            .next()
            .is_some_and(|file| file.starts_with(&folder))
}

fn has_heading(workspace: &Workspace, path: &str, heading: &str) -> bool {
    let mut documents = documents(&workspace.texts);
    documents
        .find(|document| document.path == path)
        .is_some_and(|document| headings(&document.content).contains(heading))
}

/// Returns the anchors of a document's headings, as GitHub and mdBook make them.
fn headings(content: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    // Pieces of code belong to a heading, so the lines of `prose` will not do.
    let mut is_code = false;
    for text in content.lines() {
        if text.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let title = text.trim_start_matches('#');
        if is_code || title.len() == text.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor: String = title
            .trim()
            .chars()
            .filter(|it| it.is_alphanumeric() || " _-".contains(*it))
            .map(|it| {
                if it == ' ' {
                    '-'
                } else {
                    it.to_ascii_lowercase()
                }
            })
            .collect();
        // A heading that occurs again gets a number.
        let mut numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let anchor = if anchors.contains(&anchor) {
            numbered.find(|it| !anchors.contains(it)).unwrap_or(anchor)
        } else {
            anchor
        };
        anchors.insert(anchor);
    }
    anchors
}

/// Returns whether a file has both ends of an anchor; `anchor` is empty for the whole file.
fn has_anchor(source: &Text, anchor: &str) -> bool {
    let has_end = |end: &str| {
        let mark = format!("{end}: {anchor}");
        source.content.lines().any(|line| {
            // In C the mark is in a comment that ends on the same line.
            let line = line.trim_end_matches("*/").trim_end();
            line.ends_with(&mark)
        })
    };
    anchor.is_empty() || has_end("ANCHOR") && has_end("ANCHOR_END")
}
