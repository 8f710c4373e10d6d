//! What every file keeps to: its length, its introduction, and no path of a machine.

use super::source::{Source, is_test};
use super::{Text, Violation, Workspace};

/// Past this a file has two owners and is cut.
const MOST_LINES: usize = 1_000;

/// Folders at the top of somebody's file system.
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

/// Files under `src/` begin by saying what they are.
fn without_introduction(source: &Source) -> Option<Violation> {
    let is_module = source.path.contains("/src/");
    (is_module && !source.content.starts_with("//!")).then(|| Violation {
        file: source.path.clone(),
        line: 1,
        what: "the module does not say what it is".to_owned(),
        remedy: "begin with `//!` docs".to_owned(),
    })
}

/// Absolute paths that only exist on the machine where somebody wrote them. Temporary files are
/// a matter of tests.
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

/// Whether `folder` stands in the line as the beginning of a path, not somewhere inside of one.
fn names_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|it| it.is_alphanumeric() || "._-/*}])".contains(it))
    })
}
