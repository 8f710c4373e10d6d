//! A Rust source file as the rules see it: the names in its code, with their lines.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Text;

pub(super) struct Source {
    pub(super) path: String,
    pub(super) content: String,
    /// Every path in the code; paths in a `use` with braces are expanded.
    pub(super) names: Vec<Name>,
}

/// A path such as `std::sync::Arc`, or a single word.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) line: usize,
    pub(super) segments: Vec<String>,
}

impl Name {
    pub(super) fn starts_with(&self, path: &str) -> bool {
        let mut segments = self.segments.iter();
        path.split("::")
            .all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
    }
}

impl Source {
    /// # Errors
    /// Fails if the file is not a sequence of Rust tokens.
    pub(super) fn parse(text: &Text) -> Result<Self, String> {
        let tokens: TokenStream = text
            .content
            .parse()
            .map_err(|error| format!("{}: {error}", text.path))?;
        let mut names = Vec::new();
        collect(tokens, &[], &mut names);
        let Text { path, content } = text.clone();
        Ok(Self {
            path,
            content,
            names,
        })
    }

    /// Returns whether the file is in one of these folders.
    pub(super) fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| {
            self.path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Returns whether the file is compiled only for tests, models and examples.
    pub(super) fn is_test(&self) -> bool {
        is_test(&self.path)
    }
}

/// Returns whether a path belongs to code or data for tests, models and examples only.
pub(super) fn is_test(path: &str) -> bool {
    let folders = ["tests", "examples", "benches", "loom_models"];
    path.ends_with("/tests.rs")
        || path.ends_with("/loom_models.rs")
        || path.split('/').any(|part| folders.contains(&part))
}

/// Collects the names of a stream. `prefix`, the path in front of the braces of a `use`, is put
/// before each.
fn collect(tokens: TokenStream, prefix: &[String], names: &mut Vec<Name>) {
    let mut path: Option<Name> = None;
    let mut is_renamed = false;
    // The number of colons since the last word of the path.
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' && colons < 2 => colons += 1,
            // In a `use`, the word after `as` is a new name and not a path.
            TokenTree::Ident(word) if !prefix.is_empty() && word == "as" => is_renamed = true,
            TokenTree::Ident(_) if std::mem::take(&mut is_renamed) => {}
            TokenTree::Ident(word) => {
                let line = word.span().start().line;
                match &mut path {
                    Some(name) if colons == 2 => name.segments.push(word.to_string()),
                    _ => {
                        names.extend(path.take());
                        let segments = prefix.iter().cloned().chain([word.to_string()]).collect();
                        path = Some(Name { line, segments });
                    }
                }
                colons = 0;
            }
            TokenTree::Group(group) => {
                // Without the colons it is a block or the fields of a value, whose names have no
                // prefix.
                let is_use = colons == 2 && group.delimiter() == Delimiter::Brace;
                match path.take() {
                    Some(name) if is_use => collect(group.stream(), &name.segments, names),
                    before => {
                        names.extend(before);
                        collect(group.stream(), &[], names);
                    }
                }
                colons = 0;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                names.extend(path.take());
                colons = 0;
            }
        }
    }
    names.extend(path);
}
