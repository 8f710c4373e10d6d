//! The guide as its reader sees it: what its programs print, and the texts that it quotes.
#![forbid(unsafe_code)]

mod mistakes;
mod programs;
mod time;

use std::path::Path;

/// Reads a file of the guide, or of the repository with a path that begins with `../..`.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
