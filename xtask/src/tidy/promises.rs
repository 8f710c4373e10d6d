//! Checks that what the documents name exists: commands, the tests behind guarantees, files.

use super::document::table;
use super::{Text, Violation, Workspace};

/// The two commands that the README must show.
const COMMANDS: &[&str] = &[
    "cargo run --release -p images -- samples/photos --out target/pictures",
    "cargo xtask test",
];

/// The document with the table of guarantees, and its heading.
const GUARANTEES: (&str, &str) = ("docs/guarantees.md", "# Guarantees");

/// The document of the options of pools, and the headings of its tables.
const POOLS: (&str, &[&str]) = (
    "docs/pools.md",
    &[
        "## Calls and contracts",
        "## Options",
        "## Memory",
        "## Balancing, computations, the life of workers",
    ],
);

/// Checks the README, the guarantees, and the names of files in all documents.
///
/// # Errors
/// Fails if the README, the document of guarantees or its table is missing.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>, String> {
    let mut found = missing_commands(document(workspace, "README.md")?);
    let (path, heading) = GUARANTEES;
    found.extend(missing_tests(
        workspace,
        document(workspace, path)?,
        (heading, 1),
    )?);
    let (path, headings) = POOLS;
    let pools = document(workspace, path)?;
    for heading in headings {
        found.extend(missing_tests(workspace, pools, (heading, 2))?);
    }
    let documents = workspace
        .texts
        .iter()
        .filter(|text| text.path.ends_with(".md"));
    found.extend(documents.flat_map(|document| missing_files(workspace, document)));
    Ok(found)
}

fn document<'a>(workspace: &'a Workspace, path: &str) -> Result<&'a Text, String> {
    let found = workspace.texts.iter().find(|text| text.path == path);
    found.ok_or_else(|| format!("there is no {path}"))
}

fn missing_commands(readme: &Text) -> Vec<Violation> {
    let has_line = |command: &str| readme.content.lines().any(|line| line == command);
    let missing = COMMANDS.iter().filter(|command| !has_line(command));
    missing
        .map(|command| Violation {
            file: readme.path.clone(),
            line: 1,
            what: format!("does not have the line `{command}`"),
            remedy: "add it".to_owned(),
        })
        .collect()
}

/// Each row of a table names at least one test in this column, and all tests that are named exist.
fn missing_tests(
    workspace: &Workspace,
    document: &Text,
    (heading, column): (&str, usize),
) -> Result<Vec<Violation>, String> {
    let mut found = Vec::new();
    for row in table(document, heading)? {
        let tests = row.names(column);
        let missing = tests.iter().find(|test| !is_a_test(workspace, test));
        let what = match (tests.is_empty(), missing) {
            (true, _) => "a row without a test".to_owned(),
            (false, Some(test)) => format!("there is no test `{test}`"),
            (false, None) => continue,
        };
        let remedy = "name the test that fails when this does not hold".to_owned();
        found.push(Violation {
            file: document.path.clone(),
            line: row.line,
            what,
            remedy,
        });
    }
    Ok(found)
}

fn is_a_test(workspace: &Workspace, name: &str) -> bool {
    // The declaration, since the name alone may also be in a comment. A case of a suite is generic
    // over what the suite is for.
    let declarations = [format!("fn {name}()"), format!("fn {name}<T: Transport>()")];
    let has_it = |content: &str| declarations.iter().any(|it| content.contains(it));
    let mut tests = workspace.sources.iter().filter(|source| source.is_test());
    tests.any(|source| has_it(&source.content))
}

/// Checks the source files that a document names by their whole path.
fn missing_files(workspace: &Workspace, document: &Text) -> Vec<Violation> {
    let mut found = Vec::new();
    for (line, content) in (1..).zip(document.content.lines()) {
        let quoted = content.split('`').skip(1).step_by(2);
        let files = quoted.filter(|name| {
            // A name without its folders may be that of several files, or of one that the text
            // makes up.
            let is_whole = ["crates/", "apps/", "bench/", "xtask/"]
                .iter()
                .any(|it| name.starts_with(it));
            is_whole && name.ends_with(".rs")
        });
        for file in files.filter(|file| !workspace.texts.iter().any(|text| text.path == **file)) {
            found.push(Violation {
                file: document.path.clone(),
                line,
                what: format!("there is no file {file}"),
                remedy: "name the one that took its place".to_owned(),
            });
        }
    }
    found
}
