//! Calls between two programs: the protocol, without a medium.
//!
//! A link has two ends. The [`Origin`] is where calls are made: it passes them on for the workers of
//! a pool, as their [`Link`](insula_rpc::wire::Link). The [`Target`] is where they run: it submits
//! them to an endpoint of its own. What carries the bytes between them is a medium of another crate,
//! which takes the frames of one end out of its [`Outbox`] and gives them to the other end, in their
//! order and as they are. Nothing here reads or writes anything, has a thread or looks at a clock.
//!
//! # The life of a link
//! 1. Each end sends its [`Hello`](insula_rpc::wire::Hello), and compares the other one with its own:
//!    the version of the frames, the contract, its version, and the hash of its schema. The origin's is
//!    the first. The target answers with its own once its service can take calls, or refuses the link
//!    with a reason.
//! 2. The origin sends calls. Each has a number, which is never used again.
//! 3. The target submits a call to its endpoint, and says that it *started* when its handler is about
//!    to run. Until then the call is leased: it has gone out, and its caller's side still has the
//!    request.
//! 4. The messages of a call follow, in both directions, as the [module of the
//!    wire](insula_rpc::wire) describes them.
//! 5. A link is *lost* when the medium says so, or when the other side breaks the protocol. Every call
//!    that is open then ends at once. What it ends with depends on what is known: if the medium has
//!    passed on everything that the other side ever said, a call without a word of its start was not
//!    started, and its caller gets the request back. If something may be missing, it may have been
//!    executed.
//!
//! # Bounds
//! The frames of a call that wait in an outbox or at a call are bounded by the windows of its two
//! streams: credits and reports that follow each other are one message, and of the others a call has one
//! each. An end that gets more than that from the other side has been lied
//! to, and loses the link.
//!
//! # Faults of the other side
//! A frame that cannot be read, has an unexpected kind, or comes before the hello is a [`Violation`].
//! It ends the link and nothing else. Messages of calls that have ended are normal, and are dropped.

#![forbid(unsafe_code)]

mod origin;
mod outbox;
mod remote;
mod target;
mod violation;

pub use origin::{Origin, Settings};
pub use outbox::Outbox;
pub use remote::{Connection, Remote};
pub use target::{Serving, Target};
pub use violation::Violation;
