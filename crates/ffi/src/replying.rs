//! The answer of a callback: `insula_reply` and `insula_fail` put it into a place of the thread,
//! and the caller of the callback takes it from there.

use std::cell::Cell;
use std::mem::ManuallyDrop;

use crate::abi::status::Status;
use crate::value::Value;

/// An answer: a value, or the text of a failure.
pub(crate) type Answer = Result<Value, String>;

/// The answer that a callback has given so far.
struct AnswerPlace(Option<Answer>);

thread_local! {
    /// The place of the innermost callback on this thread's stack that may answer. It has no
    /// destructor, so that it is usable on a thread that is ending as well; [`Outer`] empties it.
    static PLACE: Cell<Option<ManuallyDrop<AnswerPlace>>> = const { Cell::new(None) };
}

fn replace(place: Option<AnswerPlace>) -> Option<AnswerPlace> {
    let before = PLACE.replace(place.map(ManuallyDrop::new));
    before.map(ManuallyDrop::into_inner)
}

/// The place of the next outer callback. Dropping this restores it, also when a panic unwinds.
struct Outer(Option<AnswerPlace>);

impl Drop for Outer {
    fn drop(&mut self) {
        drop(replace(self.0.take()));
    }
}

/// Runs a callback that may answer, and returns its answer: the value null if it gave none.
pub(crate) fn answering(function: impl FnOnce()) -> Answer {
    let _outer = Outer(replace(Some(AnswerPlace(None))));
    function();
    let answer = replace(None).and_then(|place| place.0);
    answer.unwrap_or(Ok(Value::Null))
}

/// Answers for the innermost callback; the last answer counts.
pub(crate) fn answer(answer: Answer) -> Result<(), Status> {
    let before = replace(None).ok_or(Status::BadState)?;
    drop(replace(Some(AnswerPlace(Some(answer)))));
    // The earlier answer is dropped only here, because its destructor is foreign code that may
    // answer in turn.
    drop(before);
    Ok(())
}
