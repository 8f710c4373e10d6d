//! What a callback answers: `insula_reply` and `insula_fail` put it into a place of the thread,
//! from which whoever called the callback takes it.

use std::cell::Cell;
use std::mem::ManuallyDrop;

use crate::abi::status::Status;
use crate::value::Value;

/// An answer: a value, or the text of a failure.
pub(crate) type Answer = Result<Value, String>;

/// What a callback has answered so far.
struct Place(Option<Answer>);

thread_local! {
    /// The place of the innermost callback on this thread's stack that may answer. It has no
    /// destructor, so that it is there on a thread that ends as well: [`Outer`] takes it out.
    static PLACE: Cell<Option<ManuallyDrop<Place>>> = const { Cell::new(None) };
}

fn replace(place: Option<Place>) -> Option<Place> {
    let before = PLACE.replace(place.map(ManuallyDrop::new));
    before.map(ManuallyDrop::into_inner)
}

/// The place of the callback further out; comes back when this is dropped, also when somebody
/// unwinds.
struct Outer(Option<Place>);

impl Drop for Outer {
    fn drop(&mut self) {
        drop(replace(self.0.take()));
    }
}

/// Runs a callback that may answer; the value null if it does not.
pub(crate) fn answering(function: impl FnOnce()) -> Answer {
    let _outer = Outer(replace(Some(Place(None))));
    function();
    let answer = replace(None).and_then(|place| place.0);
    answer.unwrap_or(Ok(Value::Null))
}

/// Answers for the innermost callback; the last answer counts.
pub(crate) fn answer(answer: Answer) -> Result<(), Status> {
    let before = replace(None).ok_or(Status::BadState)?;
    drop(replace(Some(Place(Some(answer)))));
    // What was answered before is dropped here, outside of everything.
    drop(before);
    Ok(())
}
