//! The attribute macros of Insula: `#[contract]`, `#[main]` and `#[test]`.
//!
//! [`macro@contract`] works in two steps that meet in one plain data model: `contract/model.rs`
//! reads the trait and refuses, at the user's own span, whatever a contract cannot be;
//! `contract/emit.rs` turns the model into code and can no longer fail. Everything that the
//! generated code calls is reached through `<crate>::__private`, so that it compiles wherever
//! the façade (or, with `crate = path`, the crate of typed calls itself) is a dependency.
//!
//! [`macro@main`] and [`macro@test`] only move the body into a future and hand it to
//! `<crate>::__rt`.

#![forbid(unsafe_code)]

mod contract;
mod entry;

use proc_macro::TokenStream;

/// Makes a trait the contract between callers and a service.
///
/// Methods are `async fn`s that take `&self`, a `&Context` and at most one owned request:
///
/// ```text
/// #[insula::contract(name = "Greeter", version = 1)]
/// pub trait Greeter {
///     /// A unary call: one request, one response.
///     async fn greet(&self, cx: &Context, name: String) -> Result<String, Rude>;
///     /// A server stream: one request, any number of items.
///     async fn count(
///         &self,
///         cx: &Context,
///         up_to: u32,
///     ) -> Result<impl Stream<Item = Result<u32, Rude>>, Rude>;
/// }
/// ```
///
/// The kind of a call is read from its return type. Services implement the trait with plain
/// `async fn`s; their futures must be `Send`, and the stream of a server-streaming method
/// must own what it uses (clone an `Arc` out of `self`).
///
/// # Generated items
/// For a contract `X`, with the visibility of the trait:
/// - `XRequest`: the typed request enum, one variant per method;
/// - `XCaller`: cheap to clone, one method per call, each of which gives a call builder;
/// - `XResponder<S>`: dispatches an `XRequest` to a service `S: X`, statically;
/// - `XGreet`, `XCount`, …: one hidden marker type per method, which names its types.
///
/// # Options
/// - `name = "…"`: the name of the contract; the name of the trait unless given;
/// - `version = N`: its version, 1 unless given;
/// - `crate = path`: where the generated code finds the library; `::insula` unless given.
///
/// # Errors
/// A trait that cannot be a contract (type parameters, a method without a context, borrowed
/// requests, a return type whose error cannot be seen, …) is refused at the place of the
/// fault. Client-streaming and bidirectional methods are refused in this version.
#[proc_macro_attribute]
pub fn contract(options: TokenStream, item: TokenStream) -> TokenStream {
    contract::expand(options.into(), item.into()).into()
}

/// Runs an `async fn main` as the main isolate on the default runtime.
///
/// The function may return a `Result`; an error is printed and makes the exit code non-zero.
/// Its future must be `Send`.
///
/// # Options
/// - `threads = N`: how many threads run isolates; one per core unless given;
/// - `crate = path`: where the generated code finds the library; `::insula` unless given.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_main(options.into(), item.into()).into()
}

/// Runs an `async fn` as a test, inside an isolate.
///
/// # Options
/// - `seed = N`: runs on the seeded, single-threaded runtime with virtual time, so that the
///   same seed gives the same order of events every time;
/// - `start_paused`: the same, with the seed in the environment variable `INSULA_SEED`, or 1;
///   time stands still while anything can run and then jumps to the next timer, so that a test
///   of time never sleeps;
/// - `crate = path`: where the generated code finds the library; `::insula` unless given.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_test(options.into(), item.into()).into()
}
