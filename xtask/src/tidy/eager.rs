//! No eagerly evaluated argument makes a value with a destructor.
//!
//! `condition.then_some(Claim(place))` makes the claim even if the condition does not hold, and
//! then drops it: the destructor releases what another caller holds. The closure forms (`then`,
//! `unwrap_or_else`, ...) make the value only if it is used.
//!
//! Clippy asks for the eager form if a value is cheap to make and has no destructor, so this rule
//! covers only types with one: those with an `impl Drop` in the workspace. It concerns values that
//! are made in the argument, not values that exist already.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::source::Source;
use super::{Violation, Workspace};

/// Methods that have a closure form and drop an unused argument.
const EAGER: &[&str] = &[
    "then_some",
    "unwrap_or",
    "or",
    "and",
    "xor",
    "ok_or",
    "map_or",
    "get_or_insert",
    "or_insert",
];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>, String> {
    check_sources(&workspace.sources)
}

/// # Errors
/// Fails if a source is not a sequence of Rust tokens.
pub(super) fn check_sources(sources: &[Source]) -> Result<Vec<Violation>, String> {
    let streams: Vec<(&Source, TokenStream)> = sources
        .iter()
        .map(|source| {
            let tokens = source.content.parse();
            let tokens = tokens.map_err(|error| format!("{}: {error}", source.path))?;
            Ok((source, tokens))
        })
        .collect::<Result<_, String>>()?;
    // By crate, since another crate may have a harmless type of the same name.
    let mut types: HashMap<&str, Vec<String>> = HashMap::new();
    for (source, tokens) in &streams {
        let types = types.entry(crate_of(source)).or_default();
        types_with_drop(tokens.clone(), types);
    }
    let mut found = Vec::new();
    for (source, tokens) in streams {
        let mut lines = Vec::new();
        eager_arguments(tokens, &types[crate_of(source)], &mut lines);
        found.extend(lines.into_iter().map(|(line, what)| Violation {
            file: source.path.clone(),
            line,
            what,
            remedy: "use the closure form, which makes it only where it is wanted".to_owned(),
        }));
    }
    Ok(found)
}

/// Returns the folder of a source's crate.
fn crate_of(source: &Source) -> &str {
    let path = source.path.as_str();
    ["/src/", "/tests/", "/examples/"]
        .iter()
        .find_map(|part| path.find(part))
        .map_or("", |end| &path[..end])
}

fn is_word(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(word)) if word == wanted)
}

/// Collects the `X` of each `Drop for X`.
fn types_with_drop(tokens: TokenStream, types: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => types_with_drop(group.stream(), types),
            TokenTree::Ident(word) if word == "Drop" && is_word(tokens.get(at + 1), "for") => {
                if let Some(TokenTree::Ident(name)) = tokens.get(at + 2) {
                    types.push(name.to_string());
                }
            }
            _ => {}
        }
    }
}

/// Collects the line and the text of each eager argument that makes a value of one of `types`.
fn eager_arguments(tokens: TokenStream, types: &[String], found: &mut Vec<(usize, String)>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else {
            continue;
        };
        eager_arguments(group.stream(), types, found);
        let is_call = group.delimiter() == Delimiter::Parenthesis
            && at >= 2
            && matches!(&tokens[at - 2], TokenTree::Punct(dot) if dot.as_char() == '.');
        if !is_call {
            continue;
        }
        if let TokenTree::Ident(method) = &tokens[at - 1]
            && EAGER.iter().any(|eager| method == eager)
            && let Some(made) = makes(group.stream(), types)
        {
            let line = method.span().start().line;
            found.push((
                line,
                format!("`{method}` drops a `{made}` that it does not use"),
            ));
        }
    }
}

/// Returns the first of `types` of which a value is made here, outside closures.
fn makes(tokens: TokenStream, types: &[String]) -> Option<String> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            // A closure begins: the rest is its body, at most with the argument after it.
            TokenTree::Punct(bar) if bar.as_char() == '|' => return None,
            TokenTree::Ident(name) if types.iter().any(|it| name == it) => {
                // A variant or a function that is only named has nothing to drop.
                let mut rest = tokens[at + 1..].iter().skip_while(|token| {
                    matches!(token, TokenTree::Punct(colon) if colon.as_char() == ':')
                        || matches!(token, TokenTree::Ident(_))
                });
                if let Some(TokenTree::Group(group)) = rest.next()
                    && group.delimiter() != Delimiter::Bracket
                {
                    return Some(name.to_string());
                }
            }
            TokenTree::Group(group) => {
                let made = makes(group.stream(), types);
                if made.is_some() {
                    return made;
                }
            }
            _ => {}
        }
    }
    None
}
