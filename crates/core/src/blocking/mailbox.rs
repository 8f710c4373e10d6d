//! Synchronous mailboxes: hand-overs between two sides that wait for each other on their
//! threads, without an event loop; and the locks that go with them.
//!
//! | type | what it is | file |
//! |---|---|---|
//! | [`Requester`], [`Responder`] | a rendezvous: a request, then its response | `blocking/mailbox/rendezvous.rs`, `blocking/mailbox/exchange.rs` |
//! | [`Mailbox`] | one slot: `put` waits for room, `take` for a message | `blocking/mailbox/one_slot.rs`, `blocking/mailbox/slot.rs`, `blocking/mailbox/row.rs` |
//! | [`Mutex`], [`RawMutex`], [`ConditionVariable`] | locks that isolates and other threads share | `blocking/mailbox/mutex.rs`, `blocking/mailbox/condition_variable.rs`, `blocking/mailbox/row.rs` |
//!
//! All of them may be used in isolates and on any other thread. How a wait goes, and what it
//! gives away meanwhile, is told in `blocking.rs`. Values move; nothing is copied or serialized,
//! so a large message costs what a small one does.
//!
//! # What every wait promises
//! - It ends when what it waits for is there, when its time is over, when the mailbox, the lock or
//!   the condition variable is closed, when the peer has gone, and when the waiting isolate is
//!   killed. If several happen at once, what was handed over wins.
//! - A wait that ends without its result leaves no trace. A message, a lock or a notification
//!   that was handed over at the moment of a kill goes on to the next waiter.
//! - The peer has gone when its end was dropped: by its code, or with the stack, the tasks and
//!   the queue of an isolate that panicked, was killed, or came to its end. The waiter is woken
//!   at that moment. An end that no drop reaches, since a static or foreign code has it, goes
//!   with the isolate or the thread that attached it (`attach`), or that the other end named
//!   (`peer_is`); a lock whose holder ends without releasing it refuses its waiters.
//! - A wait that would close a cycle of waits is refused, with the names in the cycle. The holder
//!   of an end is the party that attached it or was named for it, until another one uses it;
//!   otherwise no holder is known, and a wait for the end is not refused.
//! - On a seeded runtime it is refused, as nobody else runs while one waits there.
//!
//! # Order
//! Waiters are served in the order in which they began to wait: takers and putters of a mailbox,
//! waiters for a lock and for a notification. A later one does not overtake them: a lock and a
//! message are handed over to the first in the row.

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
