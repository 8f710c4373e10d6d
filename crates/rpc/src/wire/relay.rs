//! A worker that passes its calls on to another program.

use std::fmt;
use std::future::{pending, poll_fn};
use std::task::{self, Poll};

use super::caller::{Forwarded, forward_for};
use super::codec::{Encoded, Limits};
use super::message::{ToCallee, ToCaller};
use super::method::WireContract;
use crate::context::Scope;
use crate::contract::{Ended, How};
use crate::payload::Traffic;

/// A way for calls to another program, as one call sees it.
///
/// Each call on a link has a number, which the link gives out and never again. The messages of one
/// call keep their order in each direction.
pub trait Link: fmt::Debug + Send + Sync {
    /// Sends the first message of a call. Returns the number of the call; `None` if the link is
    /// lost, and nothing was sent.
    fn open(&self, message: Encoded) -> Option<u64>;
    /// Sends a further message of a call. Comes to nothing if the link is lost.
    fn send(&self, call: u64, message: ToCallee);
    /// Returns the next news of a call, in their order. After [`News::Lost`] there are no more.
    fn poll_news(&self, call: u64, cx: &mut task::Context<'_>) -> Poll<News>;
    /// Forgets a call: what still comes of it is discarded.
    fn close(&self, call: u64);
    /// Returns whether nothing can be sent any more.
    fn is_lost(&self) -> bool;
}

/// The news of a call that went out through a [`Link`].
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// A handler is about to run. Comes before all messages but [`ToCaller::Refuse`].
    Started,
    /// A message of the callee's side.
    Message(ToCaller),
    /// The other program has gone, or the way to it.
    Lost(Lost),
}

/// What is known of the last words of a program that has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// All of them have come. A call of which no start was reported was not started.
    Complete,
    /// Some may be missing. A call that went out may have been started.
    Incomplete,
}

/// Passes a call on through a link and brings its answer to its caller: the body of
/// [`Respond::respond`](crate::Respond::respond) for a worker whose service is in another program.
/// The messages have at most what `limits` says.
///
/// The call is counted by the books of `scope`. If the link is lost, the call ends with
/// [`CallError::WorkerDied`](crate::CallError::WorkerDied), not started or maybe executed as [`Lost`]
/// says, and the future is never ready: the worker has to end.
///
/// # Cancellation
/// Dropping the future cancels the call on the other side, and ends it as `WorkerDied` on this one.
pub async fn relay<C: WireContract>(
    call: C,
    scope: &Scope,
    link: &dyn Link,
    limits: Limits,
) -> Ended {
    if link.is_lost() {
        let _counted = unsent(scope, How::Died);
        drop(call);
        return pending().await;
    }
    let worker = scope.worker();
    let Some(mut forwarded) = forward_for(call, limits, scope) else {
        return unsent(scope, How::Failed);
    };
    if forwarded.lend_out(worker).is_err() {
        return forwarded.end();
    }
    let Some(number) = link.open(forwarded.take_message()) else {
        forwarded.lose(worker, Lost::Complete);
        return pending().await;
    };
    let mut passage = Passage {
        forwarded,
        link,
        number,
        is_over: false,
        place: AtPlace::Here,
    };
    let is_lost = poll_fn(|cx| passage.poll(scope, cx)).await;
    passage.is_over = true;
    let (ended, at_place) = (passage.forwarded.end(), passage.place);
    // Before it waits: a link that is lost ends with its last call.
    drop(passage);
    if is_lost {
        return pending().await;
    }
    if at_place != AtPlace::Here
        && let Some(place) = scope.place()
    {
        // Its end gives a place up.
        poll_fn(|cx| place.poll_return(cx)).await;
    }
    ended
}

/// Counts a call that does not go out.
fn unsent(scope: &Scope, how: How) -> Ended {
    let ended = Ended {
        how,
        has_run: false,
        is_late: false,
        traffic: Traffic::default(),
    };
    scope.record(ended);
    ended
}

/// A call on its way through a link.
struct Passage<'a> {
    forwarded: Forwarded,
    link: &'a dyn Link,
    number: u64,
    /// Its last messages are sent and received.
    is_over: bool,
    place: AtPlace,
}

/// Where a call is, as its worker sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtPlace {
    /// It has its place.
    Here,
    /// It waits for the reader of its stream, and has given its place back.
    Away,
    /// It has asked for the place, and gets it whether it still wants it or not.
    Returning,
}

impl Passage<'_> {
    /// Ready once the call has ended. `true` if the link was lost.
    fn poll(&mut self, scope: &Scope, cx: &mut task::Context<'_>) -> Poll<bool> {
        loop {
            while let Poll::Ready(news) = self.link.poll_news(self.number, cx) {
                match news {
                    News::Started => self.forwarded.begin(scope.worker()),
                    News::Message(message) => self.forwarded.receive(message),
                    News::Lost(lost) => {
                        self.forwarded.lose(scope.worker(), lost);
                        return Poll::Ready(true);
                    }
                }
            }
            match self.forwarded.poll_message(cx) {
                Poll::Ready(Some(message)) => self.link.send(self.number, message),
                Poll::Ready(None) => return Poll::Ready(false),
                Poll::Pending => return self.wait(scope, cx),
            }
        }
    }

    /// Gives the place of the call back while it waits for its reader, as the handler does on the
    /// other side.
    fn wait<T>(&mut self, scope: &Scope, cx: &mut task::Context<'_>) -> Poll<T> {
        let Some(place) = scope.place() else {
            return Poll::Pending;
        };
        loop {
            let waits = self.forwarded.waits_for_reader();
            match self.place {
                AtPlace::Here if waits => {
                    self.place = AtPlace::Away;
                    place.give_back();
                    return Poll::Pending;
                }
                AtPlace::Here => return Poll::Pending,
                AtPlace::Away if waits => return Poll::Pending,
                AtPlace::Away | AtPlace::Returning => {
                    self.place = AtPlace::Returning;
                    if place.poll_return(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.place = AtPlace::Here;
                }
            }
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let by = crate::CancelledBy::Shutdown;
            self.link.send(self.number, ToCallee::Cancel(by));
        }
        self.link.close(self.number);
    }
}
