//! The attribute macros of Insula: `#[contract]`, `#[main]` and `#[test]`.
//!
//! [`macro@contract`] works in two steps that share one plain data model. `contract/model.rs` reads
//! the trait and rejects, at the user's own span, a trait that cannot be a contract.
//! `contract/emit.rs` turns the model into code and cannot fail. The generated code reaches
//! everything that it calls through `<crate>::__private`, so that it compiles wherever the façade
//! (or, with `crate = path`, the crate of typed calls itself) is a dependency.
//!
//! [`macro@main`] and [`macro@test`] only move the body into a future and pass it to
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
/// The return type determines the kind of a call. Services implement the trait with plain
/// `async fn`s; their futures must be `Send`, and the stream of a server-streaming method must own
/// what it uses (clone an `Arc` out of `self`).
///
/// # Generated items
/// For a contract `X`, with the visibility of the trait:
/// - `XRequest`: the typed request enum, one variant per method;
/// - `XCaller`: cheap to clone, with one method per call, each of which returns a call builder;
/// - `XResponder<S>`: dispatches an `XRequest` to a service `S: X`, statically;
/// - `XGreet`, `XCount`, …: one hidden marker type per method, which names the method's types.
///
/// # Options
/// - `name = "…"`: the name of the contract; by default the name of the trait;
/// - `version = N`: its version; by default 1;
/// - `crate = path`: the path of the library in the generated code; by default `::insula`.
///
/// # Errors
/// A trait that cannot be a contract (type parameters, a method without a context, borrowed
/// requests, a return type whose error cannot be seen, …) is rejected at the place of the fault.
/// Client-streaming and bidirectional methods are rejected in this version.
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
/// - `threads = N`: the number of threads that run isolates; by default one per core;
/// - `crate = path`: the path of the library in the generated code; by default `::insula`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_main(options.into(), item.into()).into()
}

/// Runs an `async fn` as a test, inside an isolate.
///
/// # Options
/// - `seed = N`: runs on the seeded, single-threaded runtime with virtual time, so that the same
///   seed gives the same order of events every time;
/// - `start_paused`: the same, with the seed in the environment variable `INSULA_SEED`, or 1; time
///   stands still while anything can run and then jumps to the next timer, so that a test of time
///   never sleeps;
/// - `crate = path`: the path of the library in the generated code; by default `::insula`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_test(options.into(), item.into()).into()
}
