//! Libraries that need tokio, inside of isolates.
//!
//! Such a library looks for a tokio runtime in a thread-local context, and takes its reactor,
//! its timers and its blocking threads from there. On a runtime of this module's [`builder`] it
//! finds them: every thread that runs isolates has the given tokio runtime entered. The
//! library's futures are polled by the isolate, as its microtasks; tokio only wakes them. What
//! the library itself hands to `tokio::spawn` runs on tokio's threads, as always.
//!
//! Nothing of this is needed to use isolates from a tokio program: sending, asking and awaiting
//! results work from any thread and on any executor.
//!
//! ```
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

use crate::RuntimeBuilder;

/// A builder of a runtime whose isolates, pooled and pinned, run with `tokio` entered.
///
/// A `current_thread` runtime of tokio serves only while somebody is in its `block_on`; with a
/// multi-threaded one nobody has to be. It must outlive what the isolates do with it: once it
/// has shut down, its reactor refuses with an error or a panic, which is the isolate's.
///
/// It sets [`RuntimeBuilder::around_threads`]; a program that needs further surroundings enters
/// the handle in its own.
pub fn builder(tokio: Handle) -> RuntimeBuilder {
    RuntimeBuilder::default().around_threads(move |work| {
        let _entered = tokio.enter();
        work();
    })
}
