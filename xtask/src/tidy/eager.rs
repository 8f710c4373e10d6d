//! No argument that is evaluated in any case makes a value with a destructor.
//!
//! `condition.then_some(Claim(place))` makes the claim also where the condition does not hold, and
//! drops it there: the destructor gives up what another caller holds. The closure forms (`then`,
//! `unwrap_or_else`, ...) make the value only where it is wanted.
//!
//! Clippy asks for the eager form where a value is cheap to make and has no destructor, so this
//! rule is about types that have one: those with an `impl Drop` in the workspace. A value that
//! exists already is no concern of the rule, only one that is made in the argument.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::source::Source;
use super::{Violation, Workspace};

/// Methods that have a closure form, and drop an argument that they do not use.
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
/// If a source is no sequence of Rust tokens.
pub(super) fn check_sources(sources: &[Source]) -> Result<Vec<Violation>, String> {
    let streams: Vec<(&Source, TokenStream)> = sources
        .iter()
        .map(|source| {
            let tokens = source.content.parse();
            let tokens = tokens.map_err(|error| format!("{}: {error}", source.path))?;
            Ok((source, tokens))
        })
        .collect::<Result<_, String>>()?;
    // By crate: another crate may have a harmless type of the same name.
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

/// The folder of the crate that a source belongs to.
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

/// Collects `X` of each `Drop for X`.
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

/// Collects the line and the text for each eager argument that makes a value of one of `types`.
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

/// The first of `types` of which a value is made here, outside of closures.
fn makes(tokens: TokenStream, types: &[String]) -> Option<String> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            // What follows is a closure, the argument after it at the most.
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
