//! The synchronous mailboxes of the process, as a list.

use std::panic::Location;
use std::sync::LazyLock;

use insula_sync::Mutex;

use super::listed::{List, look_at};

/// A mailbox or a rendezvous at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MailboxSnapshot {
    /// Its number, which no other mailbox of this process has. Later ones have larger numbers.
    pub number: u64,
    /// What it is.
    pub kind: MailboxKind,
    /// The type of its messages; of a rendezvous, that of its requests.
    pub message: &'static str,
    /// The place in the source that has made it.
    pub opened_at: &'static Location<'static>,
    /// Whether it was closed.
    pub is_closed: bool,
    /// Whether a message is in the slot; of a rendezvous, whether there is a request without a response,
    /// or a response that was not taken.
    pub is_full: bool,
    /// The parties that wait for room; of a rendezvous, for a response.
    pub putters: usize,
    /// The parties that wait for a message; of a rendezvous, for a request.
    pub takers: usize,
}

/// A kind of mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum MailboxKind {
    /// A [`Mailbox`](crate::Mailbox).
    OneSlot,
    /// A [`rendezvous`](crate::rendezvous).
    Rendezvous,
}

/// A mailbox, whatever its messages are.
pub(crate) trait ListedMailbox: Send + Sync {
    /// Returns what the mailbox does now.
    fn snapshot(&self) -> MailboxSnapshot;
}

pub(crate) static MAILBOXES: List<dyn ListedMailbox> = LazyLock::new(Mutex::default);

/// Returns the mailboxes of the process in the order in which they were made, at most `most`. One whose
/// last handle or end was dropped is gone.
pub fn mailboxes(most: usize) -> Vec<MailboxSnapshot> {
    look_at(&MAILBOXES, most, ListedMailbox::snapshot)
}

#[cfg(all(test, not(loom)))]
mod tests;
