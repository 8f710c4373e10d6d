//! `cargo xtask tidy`: checks the code against ARCHITECTURE.md.
//!
//! The tables of that document are read, not repeated here, so the document and the check cannot
//! drift apart: the allowed arrows between crates, the files with unsafe code, the reason for each
//! dependency and, in `docs/guarantees.md`, the tests behind each guarantee. The absences (names
//! that a folder must not use) are a table in `tidy/absences.rs`.
//!
//! The links of all documents, and what the pages of the guide include, are checked too.
//!
//! Sources are read as Rust tokens, so words in comments and strings do not count as code.

mod absences;
mod arrows;
mod document;
mod eager;
pub(crate) mod house;
mod links;
mod promises;
mod source;
mod texts;
mod unsafe_list;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use arrows::Package;
use source::Source;

/// A violation of a rule, reported as one line with its remedy.
#[derive(Debug)]
struct Violation {
    /// Relative to the workspace's folder.
    file: String,
    line: usize,
    what: String,
    remedy: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            what,
            remedy,
        } = self;
        write!(f, "{file}:{line}: {what}; {remedy}")
    }
}

/// The input of all rules.
struct Workspace {
    packages: Vec<Package>,
    sources: Vec<Source>,
    texts: Vec<Text>,
    /// The paths of all files, pictures included, in the form of [`Text::path`].
    files: BTreeSet<String>,
    architecture: Text,
}

/// A text file of the repository.
#[derive(Clone)]
struct Text {
    /// Relative to the workspace's folder, with slashes on every platform.
    path: String,
    content: String,
}

/// Prints every violation. Returns whether there are none.
pub(crate) fn report(root: &Path) -> bool {
    let violations = match violations(root) {
        Ok(violations) => violations,
        Err(why) => {
            println!("tidy cannot look at the workspace: {why}");
            return false;
        }
    };
    violations
        .iter()
        .for_each(|violation| println!("{violation}"));
    if violations.is_empty() {
        println!("tidy: the code keeps to ARCHITECTURE.md");
    } else {
        println!("tidy: {} violations", violations.len());
    }
    violations.is_empty()
}

fn violations(root: &Path) -> Result<Vec<Violation>, String> {
    let workspace = Workspace::load(root)?;
    let mut found = arrows::check(&workspace)?;
    found.extend(unsafe_list::check(&workspace)?);
    found.extend(absences::check(&workspace));
    found.extend(eager::check(&workspace)?);
    found.extend(promises::check(&workspace)?);
    found.extend(texts::check(&workspace));
    found.extend(links::check(&workspace));
    Ok(found)
}

impl Workspace {
    fn load(root: &Path) -> Result<Self, String> {
        let (mut texts, mut files) = (Vec::new(), BTreeSet::new());
        read_files(root, root, &mut texts, &mut files)?;
        // A folder lists its files in any order, on which the report should not depend.
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        let sources = texts.iter().filter(|text| text.path.ends_with(".rs"));
        let architecture = texts.iter().find(|text| text.path == "ARCHITECTURE.md");
        Ok(Self {
            packages: arrows::packages(root)?,
            sources: sources.map(Source::parse).collect::<Result<_, _>>()?,
            architecture: architecture.ok_or("there is no ARCHITECTURE.md")?.clone(),
            texts,
            files,
        })
    }
}

/// Lists all files, and reads those that are text, except what is built or belongs to git. The
/// folders are few and contain no links, which bounds the depth.
fn read_files(
    root: &Path,
    folder: &Path,
    texts: &mut Vec<Text>,
    files: &mut BTreeSet<String>,
) -> Result<(), String> {
    let unreadable = |error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // In a linked worktree `.git` is a file that names another folder.
        if path.ends_with(".git") {
            continue;
        }
        if path.is_dir() {
            if !path.ends_with("target") && !path.is_symlink() {
                read_files(root, &path, texts, files)?;
            }
            continue;
        }
        let relative = relative(root, &path);
        // A file that is not UTF-8 is a picture.
        if let Ok(content) = fs::read_to_string(&path) {
            let path = relative.clone();
            texts.push(Text { path, content });
        }
        files.insert(relative);
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root).unwrap_or(path).to_owned();
    path.to_string_lossy().replace('\\', "/")
}
