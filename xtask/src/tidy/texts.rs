//! Rules for every file: its length, its introduction, and no path of one machine.

use super::source::{Source, is_test};
use super::{Text, Violation, Workspace};

/// A longer file has two owners and is cut.
const MOST_LINES: usize = 1_000;

/// Folders at the root of a developer's file system.
const HOMES: &[&str] = &["home", "root", "work", "Users"];

pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in &workspace.sources {
        found.extend(too_long(source));
        found.extend(without_introduction(source));
    }
    for text in &workspace.texts {
        found.extend(machine_paths(text));
    }
    found
}

fn too_long(source: &Source) -> Option<Violation> {
    let lines = source.content.lines().count();
    (lines > MOST_LINES).then(|| Violation {
        file: source.path.clone(),
        line: MOST_LINES + 1,
        what: format!("the file has {lines} lines"),
        remedy: "cut it along its states or its owners".to_owned(),
    })
}

/// Checks that a file under `src/` begins with module docs.
fn without_introduction(source: &Source) -> Option<Violation> {
    let is_module = source.path.contains("/src/");
    (is_module && !source.content.starts_with("//!")).then(|| Violation {
        file: source.path.clone(),
        line: 1,
        what: "the module does not say what it is".to_owned(),
        remedy: "begin with `//!` docs".to_owned(),
    })
}

/// Finds absolute paths that exist only on the machine where they were written. Tests may name
/// temporary files.
pub(super) fn machine_paths(text: &Text) -> Vec<Violation> {
    let temporary: &[&str] = if is_test(&text.path) { &[] } else { &["tmp"] };
    let folders: Vec<_> = HOMES
        .iter()
        .chain(temporary)
        .map(|folder| format!("/{folder}/"))
        .collect();
    let mut found = Vec::new();
    for (line, content) in (1..).zip(text.content.lines()) {
        if let Some(folder) = folders
            .iter()
            .find(|folder| names_absolute(content, folder))
        {
            found.push(Violation {
                file: text.path.clone(),
                line,
                what: format!("names a path of one machine, under {folder}"),
                remedy: "use a relative path".to_owned(),
            });
        }
    }
    found
}

/// Returns whether `folder` occurs in the line at the start of a path, not inside one.
fn names_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|it| it.is_alphanumeric() || "._-/*}])".contains(it))
    })
}
