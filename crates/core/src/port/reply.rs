//! Replies: one value, from the answerer of a question to its asker.
//!
//! A [`ReplyTo`] sends the answer on one of two ways, chosen by the asker:
//! - An isolate keeps a table of its unanswered questions. The answer is an ordinary record in
//!   its lane that carries the key of the table's entry; it allocates nothing and touches no
//!   atomic counter but the isolate's own. The key's generation distinguishes a late answer from
//!   one to a later question.
//! - A thread outside of isolates shares a small locked cell with the answerer.
//!
//! An isolate that blocks handles no records. So a question that is waited for under
//! [`block_on`](crate::block_on) is *detached* from its entry in the table: it gets a cell, which
//! the answerer finds under the lane's lock and answers to.
//!
//! Dropping a `ReplyTo` reports to the asker that there will be no answer. So every question ends,
//! also when the isolate that was asked panics, is killed, or drops the question with its queue.

mod pending;
mod shared;

use std::fmt;
use std::mem::ManuallyDrop;

use crate::memory::slab::Key;
use crate::memory::{Current, IsolateRef};

use pending::{Answer, Dropped};
pub use pending::{Ask, AskError};
pub(crate) use pending::{DetachedReplies, PendingReplies, Settled, ask_by};
use shared::Shared;
pub use shared::{NoReply, Reply};

/// The right to answer one question, once.
///
/// Dropping it reports to the asker that there will be no answer.
pub struct ReplyTo<R: Send + 'static>(ManuallyDrop<Way<R>>);

enum Way<R> {
    /// To an entry in an isolate's table.
    Isolate(IsolateRef, Key),
    /// To a cell that any thread or executor may wait on.
    Shared(Shared<R>),
}

impl<R: Send + 'static> ReplyTo<R> {
    fn new(way: Way<R>) -> Self {
        Self(ManuallyDrop::new(way))
    }

    /// Makes the right to answer a question of `isolate`, which must be the current one.
    fn to_isolate(isolate: Current<'_>, key: Key) -> Self {
        Self::new(Way::Isolate(IsolateRef::new(isolate.core()), key))
    }

    /// Sends the answer. The value is dropped if the asker no longer waits.
    #[inline]
    pub fn send(self, value: R) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so the way is taken only here.
        match unsafe { ManuallyDrop::take(&mut this.0) } {
            Way::Isolate(isolate, key) => Answer::send(isolate, key, value),
            Way::Shared(shared) => shared.answer(Some(value)),
        }
    }
}

impl<R: Send + 'static> Drop for ReplyTo<R> {
    fn drop(&mut self) {
        // SAFETY: `send` prevents this drop, so the way is taken only here.
        match unsafe { ManuallyDrop::take(&mut self.0) } {
            Way::Isolate(isolate, key) => Dropped::send::<R>(isolate, key),
            Way::Shared(shared) => shared.answer(None),
        }
    }
}

impl<R: Send + 'static> fmt::Debug for ReplyTo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo(..)")
    }
}

/// Makes a `ReplyTo` and the [`Reply`] that receives its answer, for any thread and any executor.
///
/// ```
/// let (answer, question) = insula_core::one_shot();
/// std::thread::spawn(move || answer.send(42));
/// assert_eq!(question.wait(), Ok(42));
/// ```
pub fn one_shot<R: Send + 'static>() -> (ReplyTo<R>, Reply<R>) {
    let (shared, reply) = shared::pair();
    (ReplyTo::new(Way::Shared(shared)), reply)
}
