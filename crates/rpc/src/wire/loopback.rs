//! A wire that ends where it begins: each call becomes bytes and a call again.
//!
//! # Who moves the messages
//! A call in a loopback has no task of its own, since a submission may come from any thread and
//! knows no executor. Its [`Link`] is a waker instead. Both sides of the call leave it with what
//! they wait for, and whichever thread wakes it moves the messages, right there: the thread of the
//! worker moves the answer, that of the reader the credits. So a call is refused within its
//! submission, as by the endpoint behind the loopback, and no order of events is added to those of
//! the two sides.
//!
//! One thread moves at a time (`turns.rs`). Serializing and the wake-ups of the call's own tasks are
//! foreign code, so the sides are taken out of the lock while they are used.
//!
//! A link holds the two sides, and what they wait for holds the link. The circle ends with the call,
//! when the sides are dropped.

use std::fmt;
use std::sync::Arc;
use std::task::{self, Poll, Wake, Waker};

use insula_core::IsolateId;

use super::callee::{Accepted, accept};
use super::caller::{Forwarded, forward};
use super::codec::MOST_BYTES;
use super::message::ToCaller;
use super::method::WireContract;
use super::turns::Turns;
use crate::contract::{CallInfo, Caller, Endpoint, Ticket};
use crate::error::CancelledBy;
use crate::guard::catch;

/// An endpoint that turns each call into bytes and back before another endpoint gets it; see
/// [`loopback`].
///
/// A pool, which has no endpoint to show, makes one as it makes callers:
///
/// ```text
/// let wire: Loopback<WeatherRequest> = pool.caller();
/// let caller = WeatherCaller::over(wire);
/// ```
#[derive(Debug)]
pub struct Loopback<C> {
    endpoint: Arc<dyn Endpoint<C>>,
    most: usize,
}

/// Makes an endpoint that writes each call as bytes, reads it from them, and submits it to
/// `endpoint`. The answers, and the items of streams, come back in the same way.
///
/// A call through it means what it means without it: its deadline, its cancellation, its metadata
/// and the [outcomes](crate::Outcome) of its errors are the same, and its streams have the same
/// window. What is lost is what bytes cannot carry. A test that calls a service through a loopback
/// shows that the types of its contract survive the way to another program.
///
/// ```
/// use insula_core::{Isolate, block_on};
/// use insula_rpc::wire::Never;
/// use insula_rpc::{Context, Respond as _, contract, serve, wire};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Reading {
///     station: String,
///     degrees: i16,
/// }
///
/// #[contract(wire, crate = insula_rpc)]
/// trait Weather {
///     /// Returns the reading of the colder station.
///     async fn colder(&self, cx: &Context, a: Reading, b: Reading) -> Result<Reading, Never>;
/// }
///
/// struct Station;
///
/// impl Weather for Station {
///     async fn colder(&self, _cx: &Context, a: Reading, b: Reading) -> Result<Reading, Never> {
///         Ok(if a.degrees < b.degrees { a } else { b })
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let port = Isolate::spawn_with_port(|port| serve(port, WeatherResponder::new(Station)));
/// let caller = WeatherCaller::over(wire::loopback(port));
/// let reading = |station: &str, degrees| Reading { station: station.into(), degrees };
/// let call = caller.colder(reading("K2", -40), reading("Rome", 15));
/// assert!(matches!(block_on(call), Ok(colder) if colder == reading("K2", -40)));
/// # Ok(())
/// # }
/// ```
pub fn loopback<C: WireContract>(endpoint: impl Endpoint<C>) -> Loopback<C> {
    let endpoint: Arc<dyn Endpoint<C>> = Arc::new(endpoint);
    Loopback::from(endpoint)
}

impl<C: WireContract> Loopback<C> {
    /// Sets the most bytes of a message: a request with what travels along, an answer, or an item.
    /// The default is [`MOST_BYTES`].
    #[must_use]
    pub fn most_bytes(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Makes the two sides of a call. `None` if it was refused.
    fn sides(&self, call: C, info: CallInfo) -> Option<(Forwarded, Accepted<C>)> {
        let mut forwarded = forward(call, info, self.most)?;
        let message = forwarded.take_message();
        match accept::<C>(&message, self.most) {
            Ok(accepted) => Some((forwarded, accepted)),
            Err(why) => {
                forwarded.receive(ToCaller::Refuse(why));
                None
            }
        }
    }
}

impl<C: WireContract> Caller for Loopback<C> {
    type Contract = C;
}

/// Makes a loopback as [`loopback`] does, to an endpoint that is shared.
impl<C: WireContract> From<Arc<dyn Endpoint<C>>> for Loopback<C> {
    fn from(endpoint: Arc<dyn Endpoint<C>>) -> Self {
        let most = MOST_BYTES;
        Self { endpoint, most }
    }
}

impl<C: WireContract> Endpoint<C> for Loopback<C> {
    fn submit(&self, call: C, info: CallInfo) -> Ticket {
        if let Some((caller, mut callee)) = self.sides(call, info) {
            // The start of the call may wake it before it has its sides.
            let link = Arc::new(Link(Turns::working()));
            callee.submit(Arc::clone(&self.endpoint), caller.lease());
            link.run(Box::new(Sides { caller, callee }));
        }
        // The link withdraws the call behind it, once it is told that this one has ended.
        Ticket::NONE
    }

    fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}

    fn isolates(&self) -> Vec<IsolateId> {
        self.endpoint.isolates()
    }
}

/// A call in a loopback.
struct Link<C>(Turns<Box<Sides<C>>>);

struct Sides<C> {
    caller: Forwarded,
    callee: Accepted<C>,
}

impl<C: WireContract> Link<C> {
    /// Moves messages until there are none. Called by the thread that has taken the sides.
    fn run(self: &Arc<Self>, sides: Box<Sides<C>>) {
        let waker = Waker::from(Arc::clone(self));
        let mut next = Some(sides);
        while let Some(mut sides) = next {
            let mut cx = task::Context::from_waker(&waker);
            // A panic would leave the call between two states. The drop of the sides ends it.
            let is_over = catch(|| sides.poll(&mut cx)).map_or(true, |polled| polled.is_ready());
            if is_over {
                self.0.end();
                let _dropped = catch(move || drop(sides));
                return;
            }
            next = self.0.rest(sides);
        }
    }
}

impl<C: WireContract> Wake for Link<C> {
    fn wake(self: Arc<Self>) {
        if let Some(sides) = self.0.wake() {
            self.run(sides);
        }
    }
}

impl<C: WireContract> Sides<C> {
    /// Ready once both sides have said their last message.
    ///
    /// The loop ends: the items that are moved were sent before their credits came, and each side
    /// that would send more waits for credits or for another thread.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        loop {
            let caller = self.caller.poll_message(cx).map(|message| {
                let message = message?;
                self.callee.receive(message);
                Some(())
            });
            let callee = self.callee.poll_message(cx).map(|message| {
                let message = message?;
                self.caller.receive(message);
                Some(())
            });
            match (caller, callee) {
                (Poll::Ready(None), Poll::Ready(None)) => return Poll::Ready(()),
                (Poll::Ready(Some(())), _) | (_, Poll::Ready(Some(()))) => {}
                _ => return Poll::Pending,
            }
        }
    }
}

impl<C> fmt::Debug for Link<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
