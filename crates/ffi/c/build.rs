//! The shared library stays where it is when it is unloaded: its threads, and what the operating
//! system calls in the child of a fork, would run into nothing otherwise.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let unix = ["linux", "android", "freebsd"];
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if unix.contains(&system.as_str()) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
