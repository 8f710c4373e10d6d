//! Risk: the checked-in header differs from the sources.

use std::path::Path;

/// Writes the header if `INSULA_WRITE_HEADER` is set.
#[test]
fn the_header_is_that_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order of the header.
    for file in [
        "status", "types", "runtime", "isolate", "port", "timer", "root", "mailbox", "callback",
        "service", "signal",
    ] {
        builder = builder.with_src(root.join("src/abi").join(file).with_extension("rs"));
    }
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    // The `# Safety` sections are for Rust. A header has no use for them.
    let made = String::from_utf8(made).unwrap();
    let lines: Vec<_> = made.lines().collect();
    let mut kept = Vec::new();
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        if lines
            .peek()
            .is_some_and(|next| next.trim() == "// # Safety")
        {
            // The empty line before it, the heading, and its one line.
            lines.next();
            lines.next();
        } else {
            kept.push(line);
        }
    }
    let made = kept.join("\n") + "\n";
    let path = root.join("include/insula.h");
    if std::env::var_os("INSULA_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == there,
        "run this test with INSULA_WRITE_HEADER=1, and look at what changed in {}",
        path.display()
    );
}

/// A header that is included twice, in one source or through two other headers, defines nothing
/// twice.
#[test]
fn the_include_guard_is_around_everything() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/insula.h");
    let text = std::fs::read_to_string(path).unwrap();
    let (_comment, code) = text.split_once("*/").unwrap();
    let code = code.trim();
    assert!(code.starts_with("#ifndef INSULA_H\n#define INSULA_H\n"));
    let mut depth = 0;
    let mut ends = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.starts_with("#if") {
            depth += 1;
        } else if line.starts_with("#endif") {
            depth -= 1;
            if depth == 0 {
                ends.push(number + 1);
            }
        }
    }
    assert_eq!(ends, [code.lines().count()], "the guard ends too early");
}
