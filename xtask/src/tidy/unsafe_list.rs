//! Checks which files contain unsafe code, and that all other crates forbid it.

use super::document::table;
use super::{Text, Violation, Workspace};

const HEADING: &str = "## Unsafe code";
const FORBID: &str = "#![forbid(unsafe_code)]";

/// A file that may contain unsafe code.
struct Listed {
    file: String,
    line: usize,
}

/// Returns the files in the table of ARCHITECTURE.md.
///
/// # Errors
/// Fails if there is no such table.
fn listed(architecture: &Text) -> Result<Vec<Listed>, String> {
    let rows = table(architecture, HEADING)?;
    let file = |row: &super::document::Row| {
        let file = row.names(0).into_iter().next()?;
        Some(Listed {
            file,
            line: row.line,
        })
    };
    Ok(rows.iter().filter_map(file).collect())
}

/// # Errors
/// Fails if ARCHITECTURE.md lacks the table.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>, String> {
    let listed = listed(&workspace.architecture)?;
    let mut found = Vec::new();
    let mut with_unsafe = Vec::new();
    for source in &workspace.sources {
        // One for each file is enough, since it is the file that is listed.
        let Some(first) = source.names.iter().find(|name| name.starts_with("unsafe")) else {
            continue;
        };
        with_unsafe.push(source.path.as_str());
        if !listed.iter().any(|row| row.file == source.path) {
            found.push(Violation {
                file: source.path.clone(),
                line: first.line,
                what: "unsafe code in a file that may have none".to_owned(),
                remedy: format!("do without, or add it to ARCHITECTURE.md, \"{HEADING}\""),
            });
        }
    }
    for row in listed
        .iter()
        .filter(|row| !with_unsafe.contains(&row.file.as_str()))
    {
        found.push(Violation {
            file: workspace.architecture.path.clone(),
            line: row.line,
            what: format!("{} has no unsafe code", row.file),
            remedy: "remove it from the table".to_owned(),
        });
    }
    check_forbidden(workspace, &listed, &mut found);
    Ok(found)
}

/// Checks that a crate without a listed file forbids unsafe code in the root of each library and
/// program.
fn check_forbidden(workspace: &Workspace, listed: &[Listed], found: &mut Vec<Violation>) {
    for package in &workspace.packages {
        let folder = format!("{}/", package.folder);
        if listed.iter().any(|row| row.file.starts_with(&folder)) {
            continue;
        }
        for root in &package.roots {
            let source = workspace.sources.iter().find(|source| source.path == *root);
            // As a whole line, since the text may also be in a comment or a string, as it is here.
            let forbids = source.is_some_and(|it| it.content.lines().any(|line| line == FORBID));
            if !forbids {
                found.push(Violation {
                    file: root.clone(),
                    line: 1,
                    what: "a crate without unsafe code does not forbid it".to_owned(),
                    remedy: format!("add {FORBID}"),
                });
            }
        }
    }
}
