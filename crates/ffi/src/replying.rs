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
        drop(ANSWERS.with_borrow_mut(Vec::pop));
    }
}

/// Runs a callback that may answer; the value null if it does not.
pub(crate) fn answering(function: impl FnOnce()) -> Answer {
    ANSWERS.with_borrow_mut(|answers| answers.push(None));
    let _place = Place;
    function();
    let answer = ANSWERS.with_borrow_mut(|answers| answers.last_mut().and_then(Option::take));
    answer.unwrap_or(Ok(Value::Null))
}

/// Answers for the innermost callback; the last answer counts.
pub(crate) fn answer(answer: Answer) -> Result<(), Status> {
    let before = ANSWERS.with_borrow_mut(|answers| match answers.last_mut() {
        Some(place) => Ok(place.replace(answer)),
        None => Err(answer),
    });
    match before {
        Ok(before) => {
            drop(before);
            Ok(())
        }
        Err(answer) => {
            if let Ok(value) = &answer {
                value.disarm();
            }
            Err(Status::BadState)
        }
    }
}
