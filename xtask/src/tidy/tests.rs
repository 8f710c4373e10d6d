//! Risk: a rule that never fires, or a workspace that breaks one.

use super::source::Source;
use super::{Text, Workspace, absences, document, eager, links, texts};

fn text(path: &str, content: &str) -> Text {
    Text {
        path: path.to_owned(),
        content: content.to_owned(),
    }
}

fn source(path: &str, content: &str) -> Source {
    Source::parse(&text(path, content)).unwrap()
}

/// Returns the lines on which an absence is violated.
fn absent(path: &str, content: &str) -> Vec<usize> {
    absences::in_source(&source(path, content))
        .iter()
        .map(|violation| violation.line)
        .collect()
}

#[test]
fn the_workspace_is_tidy() {
    let violations = super::violations(&crate::root()).unwrap();
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn names_are_those_of_the_code() {
    let source = source(
        "crates/core/src/a.rs",
        "// unsafe\n/* unsafe */ const A: &str = \"unsafe\";\n\nfn f<'a>(x: &'a u8) { ::std::mem::drop(x) }\n",
    );
    assert!(!source.names.iter().any(|name| name.starts_with("unsafe")));
    let path = source
        .names
        .iter()
        .find(|name| name.starts_with("std::mem::drop"))
        .unwrap();
    assert_eq!(path.line, 4);
    let macro_body = self::source("a.rs", "macro_rules! m { () => { unsafe { f() } } }");
    assert!(
        macro_body
            .names
            .iter()
            .any(|name| name.starts_with("unsafe"))
    );
}

#[test]
fn locks_are_found_however_they_are_named() {
    let path = "crates/pool/src/a.rs";
    assert_eq!(absent(path, "use std::sync::Mutex;"), [1]);
    assert_eq!(
        absent(path, "use std::{fmt, sync::{Arc, atomic::AtomicU8}};"),
        [1]
    );
    assert_eq!(absent(path, "\nuse std::sync::{Arc, RwLock as Lock};"), [2]);
    assert_eq!(absent(path, "use std::sync as locks;"), [1]);
    assert_eq!(
        absent(path, "fn f() { ::core::sync::atomic::fence(o) }"),
        [1]
    );
    assert_eq!(absent(path, "m!(std::sync::mpsc::channel());"), [1]);
    let harmless =
        "use std::sync::{Arc, OnceLock, Weak};\nuse insula_sync::Mutex;\n// std::sync::Mutex";
    assert!(absent(path, harmless).is_empty());
}

#[test]
fn a_value_with_a_destructor_is_not_made_in_vain() {
    let lines = |content: &str| -> Vec<usize> {
        let sources = [
            source(
                "a.rs",
                "impl<T> Drop for Claim<'_, T> { fn drop(&mut self) {} }",
            ),
            source("b.rs", content),
        ];
        let found = eager::check_sources(&sources).unwrap();
        found.iter().map(|violation| violation.line).collect()
    };
    assert_eq!(lines("fn f() { won\n.then_some(Claim(&place)) }"), [2]);
    assert_eq!(
        lines("fn f() { a.unwrap_or(Ok((1, Claim { at: 1 }))) }"),
        [1]
    );
    assert_eq!(lines("fn f() { a.or(Some(self::Claim::new())) }"), [1]);
    let harmless = "fn f() { won.then(|| Claim(&place)); won.then_some(claim); \
                    won.then_some(Other(1)); a.or(Claim::None); a.map_or(1, |b| Claim(b)); Claim(1).or(2) }";
    assert!(lines(harmless).is_empty());
}

#[test]
fn absences_hold_where_they_are_meant() {
    let lock = "use std::sync::Mutex;";
    for free in [
        "crates/sync/src/mutex.rs",
        "crates/core/tests/it/main.rs",
        "crates/core/src/lane/tests.rs",
        "crates/core/src/loom_models/lane.rs",
        "crates/insula/examples/hello.rs",
        "apps/images/src/main.rs",
        "bench/src/main.rs",
    ] {
        assert!(absent(free, lock).is_empty(), "{free}");
    }
    assert_eq!(
        absent("crates/core/src/a.rs", "fn f() { tokio::spawn(g()); }"),
        [1]
    );
    assert_eq!(absent("crates/core/src/a.rs", "use serde::Serialize;"), [1]);
    assert_eq!(
        absent("crates/rpc/src/a.rs", "use std::net::TcpStream;"),
        [1]
    );
    assert!(absent("crates/pool/src/a.rs", "use std::net::TcpStream;").is_empty());
}

#[test]
fn tables_are_those_below_their_heading() {
    let document = text(
        "ARCHITECTURE.md",
        "## A\n\n| x |\n|---|\n| `no` |\n\n## B\nwords\n\n| c | d |\n|---|---|\n| `b` | `c`, d, `e` |\n\n| f |\n",
    );
    let rows = document::table(&document, "## B").unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].line, rows[0].names(0), rows[0].names(1)),
        (12, vec!["b".into()], vec!["c".into(), "e".into()])
    );
    assert!(rows[0].names(7).is_empty());
    assert!(document::table(&document, "## C").is_err());
}

#[test]
fn paths_of_a_machine_are_found() {
    let home = concat!("see /", "home/ada/notes");
    let temporary = concat!("\"/", "tmp/x\"");
    let lines = |path, content| -> Vec<usize> {
        texts::machine_paths(&text(path, content))
            .iter()
            .map(|violation| violation.line)
            .collect()
    };
    assert_eq!(lines("README.md", home), [1]);
    assert_eq!(lines("crates/core/src/a.rs", temporary), [1]);
    assert!(lines("crates/core/tests/it/a.rs", temporary).is_empty());
    assert!(lines("README.md", concat!("apps/", "home/page, ./", "work/x")).is_empty());
}

/// Returns where links or includes are broken in a repository of these documents.
fn broken(files: &[(&str, &str)]) -> Vec<(String, usize)> {
    let texts: Vec<_> = files
        .iter()
        .map(|(path, content)| text(path, content))
        .collect();
    let workspace = Workspace {
        packages: Vec::new(),
        sources: Vec::new(),
        files: texts.iter().map(|text| text.path.clone()).collect(),
        architecture: texts[0].clone(),
        texts,
    };
    let found = links::check(&workspace).into_iter();
    found.map(|it| (it.file, it.line)).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let target = (
        "docs/a.md",
        "# Title\n## The `x` of a\n## Twice\n## Twice\n```sh\n# no heading\n```\n",
    );
    let lines = |content| -> Vec<usize> {
        let found = broken(&[("README.md", content), target, ("docs/b/c.png", "")]);
        found.into_iter().map(|(_, line)| line).collect()
    };
    assert_eq!(lines("[a](docs/a.md)\n[b](docs/b.md)"), [2]);
    assert_eq!(
        lines("[a](docs/b) [p](docs/b/c.png)\n\n[b](docs/b/d.png)"),
        [3]
    );
    assert_eq!(lines("[a](docs/a.md#the-x-of-a) [b](docs/a.md#the-y)"), [1]);
    assert_eq!(
        lines("[a](docs/a.md#twice-1)\n[b](docs/a.md#no-heading)"),
        [2]
    );
    assert_eq!(lines("# Here\n[of two\nlines](#there), [here](#here)"), [3]);
    assert_eq!(lines("[a](../elsewhere.md)"), [1]);
    assert!(lines("[web](https://example.org/x) `[a](b)`\n```\n[a](b)\n```\n").is_empty());
}

#[test]
fn the_guide_includes_what_exists_and_lists_all_pages() {
    let page = "docs/guide/src/page.md";
    let lines = |content| {
        broken(&[
            ("docs/guide/src/SUMMARY.md", "[Page](page.md)"),
            (page, content),
            (
                "docs/guide/a.rs",
                "// ANCHOR: all\n// ANCHOR: half\n// ANCHOR_END: all\n",
            ),
            (
                "docs/guide/a.c",
                "/* ANCHOR: all */\n/* ANCHOR_END: all */\n",
            ),
        ])
    };
    let fault = |line| vec![(page.to_owned(), line)];
    assert!(lines("```rust\n{{#include ../a.rs:all}}\n{{#include ../a.c:all}}\n```").is_empty());
    assert_eq!(lines("\n{{#include ../a.rs:half}}"), fault(2));
    assert_eq!(lines("{{#include ../b.rs}}"), fault(1));
    let unlisted = broken(&[("docs/guide/src/SUMMARY.md", "# Summary"), (page, "")]);
    assert_eq!(unlisted, fault(1));
}
