//! The two ends of a rendezvous.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

use insula_sync::atomic::{AtomicBool, Ordering};

use super::error::{MailboxError, RequestError, Undelivered};
use super::exchange::{Exchange, GaveUp, Phase};
use crate::blocking::{Awaited, Deadline, Party, Side, deadline_in, wait};
use crate::inspect::{ListedMailbox, Listing, MAILBOXES, MailboxKind, MailboxSnapshot};
use crate::isolate::Isolate;

/// Creates the two ends of a rendezvous: the requester makes a request and waits for the response,
/// and the responder receives requests and responds.
///
/// ```
/// use insula_core::{Isolate, MailboxError, Responder, rendezvous};
///
/// let (requester, responder) = rendezvous::<u32, u32>();
/// let work = |responder: Responder<u32, u32>| {
///     responder.message_loop(|responder, n| {
///         if n == 0 {
///             responder.stop();
///         }
///         2 * n
///     })
/// };
/// let worker = Isolate::run(move || work(responder));
/// assert_eq!(requester.request(21)?, 42);
/// assert_eq!(requester.request(0)?, 0);
/// assert_eq!(worker.wait()?, Ok(()));
/// assert_eq!(requester.request(1).map_err(|it| it.error), Err(MailboxError::PeerDied));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn rendezvous<Q: Send + 'static, A: Send + 'static>() -> (Requester<Q, A>, Responder<Q, A>) {
    let exchange = Arc::new(Exchange::new());
    let listed = Arc::new(Listed {
        exchange: exchange.clone(),
        opened_at: Location::caller(),
        listing: Listing::new(&MAILBOXES),
    });
    let entry: Weak<Listed<Q, A>> = Arc::downgrade(&listed);
    listed.listing.enter(entry);
    let responder = Responder {
        exchange: exchange.clone(),
        is_stopped: AtomicBool::new(false),
        _listed: listed.clone(),
    };
    let requester = Requester {
        exchange,
        _listed: listed,
    };
    (requester, responder)
}

/// A rendezvous as tools see it, as long as one of its ends is there.
struct Listed<Q, A> {
    exchange: Arc<Exchange<Q, A>>,
    opened_at: &'static Location<'static>,
    listing: Listing<dyn ListedMailbox>,
}

impl<Q: Send + 'static, A: Send + 'static> ListedMailbox for Listed<Q, A> {
    fn snapshot(&self) -> MailboxSnapshot {
        let (requester, responder) = self.exchange.waiting();
        MailboxSnapshot {
            number: self.listing.number(),
            kind: MailboxKind::Rendezvous,
            message: std::any::type_name::<Q>(),
            opened_at: self.opened_at,
            is_closed: self.exchange.is_closed(),
            is_full: self.exchange.phase() != Phase::None,
            putters: usize::from(requester),
            takers: usize::from(responder),
        }
    }
}

/// The state of a rendezvous.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RendezvousState {
    /// No request is under way.
    None,
    /// A request was made, and there is no response yet.
    Request,
    /// A response was made, and was not taken yet.
    Response,
}

/// The end that makes requests. Created by [`rendezvous`].
///
/// When it is dropped, waits of the responder end with [`MailboxError::PeerDied`].
pub struct Requester<Q: Send + 'static, A: Send + 'static> {
    exchange: Arc<Exchange<Q, A>>,
    _listed: Arc<Listed<Q, A>>,
}

/// The end that responds. Created by [`rendezvous`].
///
/// When it is dropped, waits of the requester end with [`MailboxError::PeerDied`].
pub struct Responder<Q: Send + 'static, A: Send + 'static> {
    exchange: Arc<Exchange<Q, A>>,
    is_stopped: AtomicBool,
    _listed: Arc<Listed<Q, A>>,
}

impl<Q: Send + 'static, A: Send + 'static> Requester<Q, A> {
    /// Hands a request to the responder and waits for the response.
    ///
    /// # Blocking
    /// Blocks until there is a response or there will be none. Spins for a moment, then parks the
    /// thread; an isolate gives up its place in the pool for the wait.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait, and the request is taken back if
    /// the responder has not received it.
    ///
    /// # Errors
    /// A [`RequestError`], with the request if the responder did not receive it. The error is
    /// `IllegalState` while another thread waits for the response to a request of this end.
    pub fn request(&self, request: Q) -> Result<A, RequestError<Q>> {
        self.request_until(request, None)
    }

    /// Like [`request`](Self::request), but waits for at most `timeout`.
    ///
    /// A response that comes later is given back to the responder, and the next request waits until
    /// then; a late response is never taken for the response to the next request.
    ///
    /// # Errors
    /// As for `request`, and `TimedOut`.
    pub fn request_timeout(&self, request: Q, timeout: Duration) -> Result<A, RequestError<Q>> {
        self.request_until(request, deadline_in(timeout))
    }

    fn request_until(&self, request: Q, deadline: Deadline) -> Result<A, RequestError<Q>> {
        let exchange = &self.exchange;
        let end = &exchange.requester;
        let Some(_claim) = end.claim() else {
            return Err(RequestError {
                error: MailboxError::IllegalState,
                request: Some(request),
            });
        };
        end.holder.used();
        if let Err(Undelivered { message, error }) = exchange.post(request) {
            let request = Some(message);
            return Err(RequestError { error, request });
        }
        let asking = OnUnwind(|| drop(exchange.give_up()));
        let awaited = || (exchange.clone() as Arc<dyn Awaited>, Side::Requester);
        let is_settled = || exchange.is_settled().then_some(());
        let seat = exchange.seat(Side::Requester);
        let waited = wait(seat, &end.spin, deadline, awaited, is_settled);
        asking.over();
        let error = match waited {
            Ok(()) => match exchange.collect() {
                Ok(response) => return Ok(response),
                Err(MailboxError::Unanswered) => return Err(RequestError::taken()),
                Err(error) => error,
            },
            Err(error) => error.into(),
        };
        // A response that came together with the error wins.
        match exchange.give_up() {
            GaveUp::TookBack(request) => Err(RequestError {
                error,
                request: Some(request),
            }),
            GaveUp::Left => Err(RequestError {
                error,
                request: None,
            }),
            GaveUp::Answered(response) => response.ok_or_else(RequestError::taken),
        }
    }

    /// Returns the state of the rendezvous at this moment.
    pub fn state(&self) -> RendezvousState {
        state(&self.exchange)
    }

    /// Closes the rendezvous for both ends: each wait and each later use returns `Closed`. A
    /// request that was not received is given back to the requester.
    pub fn close(&self) {
        self.exchange.close();
    }

    /// Returns whether the rendezvous was closed.
    pub fn is_closed(&self) -> bool {
        self.exchange.is_closed()
    }

    /// Makes the current isolate or thread the holder of this end: the end is gone when its holder
    /// has ended, even if no drop reaches it, and waits for it are part of the search for
    /// deadlocks. A use by another party, before that end, undoes both.
    pub fn attach(&self) {
        self.exchange.attach(Side::Requester, &Party::current());
    }

    /// Names `isolate` as the present or future holder of the responder, as if the isolate had
    /// called [`attach`](Responder::attach): the responder is gone when the isolate has ended.
    pub fn peer_is(&self, isolate: &Isolate) {
        let party = Party::isolate(isolate);
        self.exchange.attach(Side::Responder, &party);
    }
}

impl<Q> RequestError<Q> {
    fn taken() -> Self {
        Self {
            error: MailboxError::Unanswered,
            request: None,
        }
    }
}

/// Calls its function if it is dropped, which happens when a wait or a handler is left by unwinding.
struct OnUnwind<F: Fn()>(F);

impl<F: Fn()> OnUnwind<F> {
    fn over(self) {
        // The drop must not run: the caller goes on itself, and may need the function's result.
        let _ = std::mem::ManuallyDrop::new(self);
    }
}

impl<F: Fn()> Drop for OnUnwind<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<Q: Send + 'static, A: Send + 'static> Responder<Q, A> {
    /// Waits for a request and takes it. It must be [responded to](Self::respond) or
    /// [declined](Self::decline) before the next one is received.
    ///
    /// # Blocking
    /// Blocks like [`Requester::request`], until there is a request or there will be none.
    ///
    /// # Errors
    /// `PeerDied` if the requester is gone; `IllegalState` while a response is owed, or while
    /// another thread waits here; and the errors of every wait.
    pub fn receive(&self) -> Result<Q, MailboxError> {
        self.receive_until(None)
    }

    /// Like [`receive`](Self::receive), but waits for at most `timeout`.
    ///
    /// # Errors
    /// As for `receive`, and `TimedOut`.
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Q, MailboxError> {
        self.receive_until(deadline_in(timeout))
    }

    /// Takes a request if there is one.
    ///
    /// # Errors
    /// `Empty` if there is none; otherwise as for [`receive`](Self::receive).
    pub fn try_receive(&self) -> Result<Q, MailboxError> {
        // Only tested here, but held to the end: its drop frees the end for another user.
        let claim = self.exchange.responder.claim();
        if claim.is_none() || self.exchange.owes() {
            return Err(MailboxError::IllegalState);
        }
        self.exchange.responder.holder.used();
        self.exchange.take().unwrap_or(Err(MailboxError::Empty))
    }

    /// Like [`receive`](Self::receive), for a loop that [`stop`](Self::stop) ends: returns `None`
    /// once after a call of `stop`.
    ///
    /// # Errors
    /// As for `receive`.
    pub fn receive_unless_stopped(&self) -> Result<Option<Q>, MailboxError> {
        self.receive_or(None, || {
            // Acquire pairs with the Release in `stop`.
            let is_stopped = self.is_stopped.load(Ordering::Acquire);
            // Not one swap, which would write to the line at each look of the wait.
            if is_stopped {
                // Relaxed: it publishes nothing.
                self.is_stopped.store(false, Ordering::Relaxed);
            }
            is_stopped
        })
    }

    fn receive_until(&self, deadline: Deadline) -> Result<Q, MailboxError> {
        let received = self.receive_or(deadline, || false)?;
        received.ok_or(MailboxError::Empty)
    }

    /// Waits for a request, or until `gives_up` returns `true`. A change of its result must be
    /// followed by an unpark of the seat.
    fn receive_or(
        &self,
        deadline: Deadline,
        gives_up: impl Fn() -> bool,
    ) -> Result<Option<Q>, MailboxError> {
        let exchange = &self.exchange;
        let end = &exchange.responder;
        let claim = end.claim();
        if claim.is_none() || exchange.owes() {
            return Err(MailboxError::IllegalState);
        }
        end.holder.used();
        let awaited = || (exchange.clone() as Arc<dyn Awaited>, Side::Responder);
        let seat = exchange.seat(Side::Responder);
        let look = || {
            // First, so that a stop does not wait until there are no more requests.
            if gives_up() {
                return Some(Ok(None));
            }
            exchange.take().map(|taken| taken.map(Some))
        };
        wait(seat, &end.spin, deadline, awaited, look)?
    }

    /// Responds to the request that was received last. Does not wait.
    ///
    /// # Errors
    /// `IllegalState` if no response is owed or while another thread waits here, `Abandoned` if the
    /// requester does not wait for the response any more; with the response.
    pub fn respond(&self, response: A) -> Result<(), Undelivered<A>> {
        let exchange = &self.exchange;
        let Some(_claim) = exchange.responder.claim() else {
            return Err(Undelivered {
                message: response,
                error: MailboxError::IllegalState,
            });
        };
        match exchange.answer(Some(response)) {
            Err((Some(message), error)) => Err(Undelivered { message, error }),
            _ => Ok(()),
        }
    }

    /// Ends the request that was received last without a response: the requester gets
    /// `Unanswered`.
    ///
    /// # Errors
    /// As for [`respond`](Self::respond).
    pub fn decline(&self) -> Result<(), MailboxError> {
        let exchange = &self.exchange;
        let claim = exchange.responder.claim();
        if claim.is_none() {
            return Err(MailboxError::IllegalState);
        }
        exchange.answer(None).map_err(|(_, error)| error)
    }

    /// Receives requests and responds with the result of `handler` for each, until
    /// [`stop`](Self::stop) is called.
    ///
    /// A response is dropped if the requester does not wait for it any more.
    ///
    /// # Blocking
    /// Blocks like [`receive`](Self::receive), for each request.
    ///
    /// # Panics
    /// If `handler` panics. This end is gone then, even if the panic is caught: the requester gets
    /// `PeerDied` at once.
    ///
    /// # Errors
    /// The reason why there will be no more requests, for example `PeerDied` or `Closed`.
    pub fn message_loop(&self, mut handler: impl FnMut(&Self, Q) -> A) -> Result<(), MailboxError> {
        while let Some(request) = self.receive_unless_stopped()? {
            // The requester would wait for a response that does not come.
            let handling = OnUnwind(|| self.exchange.leave(Side::Responder));
            let response = handler(self, request);
            handling.over();
            match self.respond(response) {
                Err(unwanted) if unwanted.error != MailboxError::Abandoned => {
                    return Err(unwanted.error);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends the message loop: after the response to the current request, or at once if the loop
    /// waits. If no loop runs, the next one ends at once.
    pub fn stop(&self) {
        // Release pairs with the Acquire in `receive_unless_stopped`: code after the loop sees what
        // came before the stop.
        self.is_stopped.store(true, Ordering::Release);
        self.exchange.seat(Side::Responder).unpark();
    }

    /// Returns the state of the rendezvous at this moment.
    pub fn state(&self) -> RendezvousState {
        state(&self.exchange)
    }

    /// Closes the rendezvous for both ends. See [`Requester::close`].
    pub fn close(&self) {
        self.exchange.close();
    }

    /// Returns whether the rendezvous was closed.
    pub fn is_closed(&self) -> bool {
        self.exchange.is_closed()
    }

    /// Makes the current isolate or thread the holder of this end. See [`Requester::attach`].
    pub fn attach(&self) {
        self.exchange.attach(Side::Responder, &Party::current());
    }

    /// Names `isolate` as the present or future holder of the requester, as if the isolate had
    /// called [`attach`](Requester::attach).
    pub fn peer_is(&self, isolate: &Isolate) {
        let party = Party::isolate(isolate);
        self.exchange.attach(Side::Requester, &party);
    }
}

fn state<Q, A>(exchange: &Exchange<Q, A>) -> RendezvousState {
    match exchange.phase() {
        Phase::None => RendezvousState::None,
        Phase::Request => RendezvousState::Request,
        Phase::Response => RendezvousState::Response,
    }
}

impl<Q: Send + 'static, A: Send + 'static> Drop for Requester<Q, A> {
    fn drop(&mut self) {
        self.exchange.dropped(Side::Requester);
    }
}

impl<Q: Send + 'static, A: Send + 'static> Drop for Responder<Q, A> {
    fn drop(&mut self) {
        self.exchange.dropped(Side::Responder);
    }
}

impl<Q: Send + 'static, A: Send + 'static> fmt::Debug for Requester<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Requester").field(&self.state()).finish()
    }
}

impl<Q: Send + 'static, A: Send + 'static> fmt::Debug for Responder<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Responder").field(&self.state()).finish()
    }
}
