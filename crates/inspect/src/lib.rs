//! The inspector: shows what isolates, pools and calls of a running program do, and controls them if
//! the program allows it.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use insula_inspect::Inspector;
//! let inspector = Inspector::builder().name("mill").start()?;
//! eprintln!("inspect: {}", inspector.address());
//! # Ok(())
//! # }
//! ```
//!
//! A browser opens the address, and the command `insula top` takes it too. The protocol is in
//! `PROTOCOL.md`.
//!
//! # Security
//! Nothing listens before [`InspectorBuilder::start`]. From then on, a loopback address or a Unix
//! socket of this user does. Each request needs the token of this start, which is in the address;
//! the page alone is served without it, and holds nothing of the program. A request with another
//! `Host` or `Origin` than the server's own is refused, so that no page of another site can reach
//! it. Only with [`InspectorBuilder::allow_control`] can a client change anything. The token is as
//! good as the right to read what the program shows: do not log it. To look at another machine,
//! forward the port with `ssh -L`.
//!
//! # How it works
//! A thread takes a sample of the program each second (`program.rs`), from which come the history,
//! the ages and the events; it holds no lock of the runtime for long, and stops nothing. A second one
//! looks at the threads of the pool about every 10 ms, and so knows long turns and the shares of the
//! CPU (`program/watch.rs`). What happens to isolates is told by those that do it, and the last events
//! of each thread are kept (`program/recorder.rs`). Another thread accepts connections, and each of at most eight clients has one of its own. All of them
//! are plain threads: the inspector must answer when the runtime does not. What it shows are plain
//! values ([`model`]).

#![forbid(unsafe_code)]

pub mod announce;
#[cfg(feature = "client")]
pub mod client;
#[cfg(all(fuzzing, unix, feature = "client"))]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
pub mod model;
#[cfg(feature = "otel")]
mod otel;
mod program;
mod server;
mod start;
mod streams;
mod why;

pub use start::{Inspector, InspectorBuilder, Listen};
