//! Keeps the shared library in memory after it is unloaded: its threads, and the handler that the
//! operating system calls in the child of a fork, would otherwise run into unmapped code.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let unix = ["linux", "android", "freebsd"];
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if unix.contains(&system.as_str()) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
