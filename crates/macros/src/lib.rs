//! The macros of Insula: `#[contract]`, `#[main]`, `#[test]` and `#[derive(Payload)]`.
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
mod payload;

use proc_macro::TokenStream;

/// Makes a trait the contract between callers and a service.
///
/// Methods are `async fn`s that take `&self`, a `&Context`, and the owned values of the request, of
/// which there may be none. There are four kinds of calls:
///
/// ```text
/// #[insula::contract(name = "Greeter", version = 1)]
/// pub trait Greeter {
///     /// A unary call: one request, one response.
///     async fn greet(&self, cx: &Context, name: String) -> Result<String, Rude>;
///     /// The service answers with a stream.
///     async fn count(
///         &self,
///         cx: &Context,
///         from: u32,
///         to: u32,
///     ) -> Result<impl Stream<Item = Result<u32, Rude>>, Rude>;
///     /// The caller sends a stream.
///     async fn sum(&self, cx: &Context, items: Inbound<u32>) -> Result<u64, Rude>;
///     /// Both send streams.
///     async fn echo(
///         &self,
///         cx: &Context,
///         items: Inbound<String>,
///     ) -> Result<impl Stream<Item = Result<String, Rude>>, Rude>;
/// }
/// ```
///
/// The signature determines the kind of a call: an answer that is an `impl Stream`, and a last
/// parameter that is an `Inbound`.
///
/// # Services
/// A service implements the trait with `async fn`s that have the signatures of the trait. Their
/// futures, and the streams that they return, must be `Send`; they may borrow the service and the
/// context. The service itself is `'static`: it owns what it uses.
///
/// If all methods take `&mut self`, the service runs one call at a time. A stream that it answers
/// with is a part of its call, so the next call waits for the end of the stream.
///
/// # Generated items
/// For a contract `X`, with the visibility of the trait:
/// - `XRequest`: the typed request enum, one variant per method;
/// - `XCaller`: cheap to clone, with one method per call. It returns the call, which is a future;
///   if the caller sends a stream, it takes the other values and returns a call that is opened
///   first;
/// - `XResponder<S>`: dispatches an `XRequest` to a service `S: X`, statically;
/// - `XGreetMethod`, `XCountMethod`, …: one hidden marker type per method, which names the method's
///   types, as in `Call<XGreetMethod>`.
///
/// The items generated for a method have its `#[cfg]`s. Its docs, `#[deprecated]` and
/// `#[must_use]` are also on the caller's method.
///
/// # Attributes of methods
/// - `#[idempotent]`: calls of this method may run more than once with the effect of one. Only such
///   calls are repeated after they may have run, or made twice.
/// - `#[work(cpu)]`, `#[work(memory)]`, `#[work(io)]` or `#[work(balanced)]`: what the work of its
///   calls needs most, so that a pool spreads calls of one type over its workers.
///
/// # Options
/// - `name = "…"`: the name of the contract; by default the name of the trait;
/// - `version = N`: its version; by default 1;
/// - `wire`: its calls can also be written as bytes, and it has a schema, which a test compares with
///   that of its last version. Each type in the contract is `serde::Serialize` and
///   `serde::Deserialize`, and owns its values. It needs the feature `wire` of the library; without
///   the option nothing of it is generated. See the module `rpc::wire`;
/// - `crate = path`: the path of the library in the generated code; by default `::insula`.
///
/// # Errors
/// A trait that cannot be a contract (type parameters, a method without a context, borrowed
/// requests, a boxed stream, a return type whose error cannot be seen, …) is rejected at the place
/// of the fault, with what to write instead.
#[proc_macro_attribute]
pub fn contract(options: TokenStream, item: TokenStream) -> TokenStream {
    contract::expand(options.into(), item.into()).into()
}

/// Implements `Payload` for a struct or an enum, so that statistics count what its values own on
/// the heap.
///
/// The size of a value is its own, plus what each field owns elsewhere: by the field's `Payload`,
/// or nothing if its type has none. A field whose type is a type parameter counts only if the
/// parameter has the bound `Payload`.
///
/// # Options
/// - `#[payload(crate = path)]`: the path of the library in the generated code; by default
///   `::insula`.
#[proc_macro_derive(Payload, attributes(payload))]
pub fn payload(item: TokenStream) -> TokenStream {
    payload::expand(item.into()).into()
}

/// Runs an `async fn main` as the main isolate on the default runtime. The name of that isolate is
/// `main`.
///
/// The function may return a `Result`; an error is printed and makes the exit code non-zero.
/// Its future must be `Send`, and so must what it returns: `Box<dyn Error + Send + Sync>` is an error
/// that `?` makes of any other.
///
/// # Options
/// - `threads = N`: the number of threads that run isolates; by default one per core;
/// - `crate = path`: the path of the library in the generated code; by default `::insula`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_main(options.into(), item.into()).into()
}

/// Runs an `async fn` as a test, inside an isolate with the name `test`.
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
