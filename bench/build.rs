//! Tells the program which compiler, and so which standard library, it was built with.

use std::env;
use std::process::Command;

fn main() {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output();
    let text = output
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    // "rustc 1.95.0 (…)"
    let version = text
        .as_deref()
        .and_then(|text| text.split_whitespace().nth(1))
        .unwrap_or("?");
    println!("cargo::rustc-env=RUST_VERSION={version}");
    println!("cargo::rerun-if-changed=build.rs");
}
