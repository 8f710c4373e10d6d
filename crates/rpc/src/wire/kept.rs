//! Calls that are kept as bytes, and made later, for code that stores them: a queue on a disk, say.
//!
//! Such a call has no caller that waits. So its answer is read, to know how it has ended, and dropped.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use super::callee::Accepted;
use super::caller::{Lease, forward};
use super::codec::{Encoded, Limits, read_some};
use super::message::{Failure, ToCallee, ToCaller};
use super::method::WireContract;
use super::never::Never;
use crate::call::Call;
use crate::cell::Answer;
use crate::contract::{Endpoint, Idempotent, Method};
use crate::error::{CallError, Outcome, Reject};

/// A call that was not sent, as bytes; see [`keep`].
#[non_exhaustive]
pub struct Kept<M: Method> {
    /// The message, which [`accept`](super::accept) reads.
    pub message: Encoded,
    /// Its request, for a message that then cannot be kept.
    pub request: Option<M::Request>,
    /// Its [idempotency key](Call::idempotency_key).
    pub idempotency_key: Option<Box<str>>,
}

/// Writes a call that was not sent as a message within these limits, which
/// [`accept`](super::accept) reads and [`Accepted::perform`] makes a call of, any time later and any
/// number of times. So its method is idempotent. A deadline counts anew each time.
///
/// # Errors
/// It cannot be written; the error returns the request.
///
/// # Panics
/// If the call was sent.
pub fn keep<M>(
    mut call: Call<M>,
    limits: impl Into<Limits>,
) -> Result<Kept<M>, CallError<M::Error, M::Request>>
where
    M: Idempotent,
    M::Contract: WireContract,
{
    let Some((unsent, info, cell)) = call.take_unsent() else {
        panic!("a call that was sent cannot be kept");
    };
    let idempotency_key = cell.with_idempotency_key(|key| Box::<str>::from(key));
    let Some(mut forwarded) = forward(unsent, info, limits) else {
        let refused: Option<Answer<M>> = cell.take_answer();
        return match refused {
            Some(Err(why)) => Err(why),
            _ => unreachable!("a call that is not written has its error"),
        };
    };
    let message = forwarded.take_message();
    // The call itself ends here, as that of a caller who has gone.
    let request = cell.unqueue();
    Ok(Kept {
        message,
        request,
        idempotency_key,
    })
}

/// The end of a call that nobody waits for; see [`Accepted::perform`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Performed {
    /// The handler has given its answer; if that is a stream, all of it.
    Answered,
    /// The handler has returned its own error.
    Failed,
    /// The handler has ended, and what it has returned cannot be written, for this reason.
    Unwritten(String),
    /// The endpoint has not taken the call.
    Rejected(Reject),
    /// There was no answer, for this reason.
    NotAnswered(String),
}

impl<C: WireContract> Accepted<C> {
    /// Makes the call of an endpoint, and returns how it has ended. The answer is dropped.
    ///
    /// # Cancellation
    /// Dropping the future cancels the call.
    pub async fn perform(mut self, endpoint: Arc<dyn Endpoint<C>>) -> Performed {
        self.submit(endpoint, Lease::new(|_worker| Ok(())));
        let mut end = Performed::NotAnswered("it was let go".to_owned());
        while let Some(message) = poll_fn(|cx| self.poll_message(cx)).await {
            match message {
                ToCaller::Answer(bytes, _) | ToCaller::End(bytes) => end = Performed::of(&bytes),
                ToCaller::Refuse(why) => end = Performed::NotAnswered(why.to_string()),
                ToCaller::Item(_) => self.receive(ToCallee::Credit(1)),
                ToCaller::Progress(_) | ToCaller::Credit(_) | ToCaller::Closed => {}
            }
        }
        end
    }
}

impl Performed {
    /// By an answer, or the end of a stream. The number of the variant comes first; see `Ending`.
    fn of(end: &Encoded) -> Self {
        match end.bytes.split_first() {
            Some((0, _)) => Self::Answered,
            Some((1, _)) => Self::Failed,
            Some((_, failure)) => match read_some::<Failure>(failure, failure.len()) {
                Ok((Failure::Rejected(why), _)) => Self::Rejected(why),
                Ok((failure, _)) => {
                    let is_executed = matches!(failure, Failure::Protocol(_, Outcome::Executed));
                    let why = failure.into_error::<Never, ()>().to_string();
                    match is_executed {
                        true => Self::Unwritten(why),
                        false => Self::NotAnswered(why),
                    }
                }
                Err(why) => Self::NotAnswered(why.to_string()),
            },
            None => Self::NotAnswered("an answer without a byte".to_owned()),
        }
    }
}

impl<M: Method> fmt::Debug for Kept<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("method", &M::DESCRIPTOR.name)
            .field("bytes", &self.message.bytes.len())
            .field("idempotency_key", &self.idempotency_key)
            .finish_non_exhaustive()
    }
}
