//! `libinsula_dart_samples`: a library for Dart with services of its own, as a program would build
//! one.
//!
//! It depends on `insula-dart`, whose exported functions become its own, so the package `insula`
//! loads it in place of `libinsula_dart`. It adds functions that Dart looks up:
//! - `pictures`: opens the picture service of the program `images`;
//! - `counter`: opens a service that is written in Rust alone;
//! - `sample`: opens a service, and starts native threads, for the package's tests and examples.

mod counter;
mod pictures;
mod sample;

// Without a use the linker would leave `insula-dart` out.
pub use insula_dart::ABI_VERSION;
