//! Support for libraries that need tokio inside of isolates.
//!
//! Such a library looks for a tokio runtime in a thread-local context, and uses the reactor, the
//! timers and the blocking threads that it finds there. On a runtime of this module's [`builder`]
//! every thread that runs isolates has entered the given tokio runtime. The isolate polls the
//! library's futures, as its microtasks; tokio only wakes them. Futures that the library itself
//! passes to `tokio::spawn` run on tokio's threads, as always.
//!
//! A tokio program that uses isolates does not need this module: sending, asking and awaiting
//! results work from any thread and on any executor.
//!
//! ```standalone_crate
//! use insula::Isolate;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokio = tokio::runtime::Builder::new_multi_thread()
//!     .worker_threads(1)
//!     .enable_all()
//!     .build()?;
//! let runtime = insula::tokio::builder(tokio.handle().clone()).build();
//! let address = runtime.block_on(async {
//!     // Outside of a tokio runtime this would panic: there is no reactor running.
//!     let bind = async || tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr();
//!     Isolate::run_async(bind).await
//! })??;
//! assert!(address.port() > 0);
//! runtime.shut_down();
//! # Ok(())
//! # }
//! ```

use tokio::runtime::Handle;

use crate::runtime::RuntimeBuilder;

/// Returns a builder of a runtime whose isolates, pooled and pinned, run with `tokio` entered.
///
/// A `current_thread` runtime of tokio makes progress only while a thread is in its `block_on`; a
/// multi-threaded one always does. The tokio runtime must outlive its use by the isolates: once it
/// has shut down, its reactor fails with an error or a panic in the isolate.
///
/// The builder sets [`RuntimeBuilder::around_threads`]. A program that sets another function there
/// enters the handle in that function instead.
pub fn builder(tokio: Handle) -> RuntimeBuilder {
    RuntimeBuilder::default().around_threads(move |work| {
        let _entered = tokio.enter();
        work();
    })
}
