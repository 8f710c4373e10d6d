//! What a callback answers: `insula_reply` and `insula_fail` put it into a place of the thread,
//! from which whoever called the callback takes it.

use std::cell::RefCell;

use crate::abi::status::Status;
use crate::value::Value;

/// An answer: a value, or the text of a failure.
pub(crate) type Answer = Result<Value, String>;

thread_local! {
    /// For each callback on this thread's stack that may answer, the innermost last.
    static ANSWERS: RefCell<Vec<Option<Answer>>> = const { RefCell::new(Vec::new()) };
}

/// Takes the place away again, also when somebody unwinds.
struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        drop(with_answers(Vec::pop));
    }
}

/// `None` on a thread that ends and has no places any more.
fn with_answers<R>(f: impl FnOnce(&mut Vec<Option<Answer>>) -> R) -> Option<R> {
    ANSWERS
        .try_with(|answers| f(&mut answers.borrow_mut()))
        .ok()
}

/// Runs a callback that may answer; the value null if it does not.
pub(crate) fn answering(function: impl FnOnce()) -> Answer {
    with_answers(|answers| answers.push(None));
    let _place = Place;
    function();
    let answer = with_answers(|answers| answers.last_mut().and_then(Option::take));
    answer.flatten().unwrap_or(Ok(Value::Null))
}

/// Answers for the innermost callback; the last answer counts.
pub(crate) fn answer(answer: Answer) -> Result<(), Status> {
    let mut answer = Some(answer);
    let before = with_answers(|answers| {
        let place = answers.last_mut()?;
        Some(std::mem::replace(place, answer.take()))
    });
    if let Some(Ok(value)) = &answer {
        value.disarm();
    }
    // What was answered before is dropped here, outside of everything.
    match before.flatten() {
        Some(_before) => Ok(()),
        None => Err(Status::BadState),
    }
}
