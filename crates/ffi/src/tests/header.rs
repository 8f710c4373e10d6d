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
