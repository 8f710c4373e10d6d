//! Synchronous mailboxes: hand-overs between two sides that wait for each other on their
//! threads, without an event loop; and the locks that go with them.
//!
//! | type | what it is | file |
//! |---|---|---|
//! | [`Requester`], [`Responder`] | a rendezvous: a request, then its response | `blocking/mailbox/rendezvous.rs`, `blocking/mailbox/exchange.rs` |
//! | [`Mailbox`] | one slot: `put` waits for room, `take` for a message | `blocking/mailbox/one_slot.rs`, `blocking/mailbox/slot.rs`, `blocking/mailbox/row.rs` |
//! | [`Mutex`], [`RawMutex`], [`ConditionVariable`] | locks that isolates and other threads share | `blocking/mailbox/mutex.rs`, `blocking/mailbox/condition_variable.rs`, `blocking/mailbox/row.rs` |
//!
//! All of them may be used in isolates and on any other thread. `blocking.rs` describes the
//! protocol of a wait. Values move and are never copied or serialized, so a large message costs as
//! much as a small one.
//!
//! # What every wait promises
//! - It ends when its result is there, when its time-out passes, when the mailbox, the lock or the
//!   condition variable is closed, when the peer is gone, and when the waiting isolate is killed.
//!   If several happen at once, a result that was handed over wins.
//! - A wait that ends without its result leaves no trace. A message, a lock or a notification
//!   that was handed over at the moment of a kill is passed on to the next waiter.
//! - The peer is gone when its end was dropped: by its code, or with the stack, the tasks and
//!   the queue of an isolate that panicked, was killed, or exited. The waiter is woken at that
//!   moment. An end that no drop reaches, since it is in a static or in foreign code, is gone when
//!   the isolate or the thread has ended that attached it (`attach`) or that the peer named
//!   (`peer_is`). A lock whose holder ends without releasing it refuses its waiters.
//! - A wait that would close a cycle of waits is refused, with the names in the cycle. The holder
//!   of an end is the party that attached it or that the peer named, until another party uses the
//!   end; otherwise the holder is unknown, and a wait for the end is not refused.
//! - On a seeded runtime it is refused, since nothing else runs there meanwhile.
//!
//! # Order
//! Waiters are served in the order in which they began to wait: takers and putters of a mailbox,
//! waiters for a lock and for a notification. A later waiter does not overtake them: a lock or a
//! message is handed to the first waiter directly.

mod condition_variable;
mod error;
mod exchange;
mod mutex;
mod one_slot;
mod rendezvous;
mod row;
mod slot;

#[cfg(test)]
mod tests;

pub use condition_variable::ConditionVariable;
pub use error::{LockError, MailboxError, NotHeld, RequestError, Undelivered};
#[cfg(all(test, loom))]
pub(crate) use exchange::{Exchange, GaveUp};
pub use mutex::{Mutex, MutexGuard, RawMutex};
pub use one_slot::Mailbox;
pub use rendezvous::{RendezvousState, Requester, Responder, rendezvous};
#[cfg(all(test, loom))]
pub(crate) use row::Left;
#[cfg(all(test, loom))]
pub(crate) use slot::{Putting, Slot, Taking};
