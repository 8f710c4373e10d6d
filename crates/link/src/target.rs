//! The end at which calls run.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

use insula_core::wake_contained;
use insula_rpc::wire::{
    Accepted, Encoded, Frame, Hello, Lease, Limits, ToCallee, ToCaller, WireContract, accept,
};
use insula_rpc::{Endpoint, WINDOW};
use insula_sync::Mutex;

use crate::{Outbox, Violation};

/// The messages that may wait at one call: the items of a window, the credits of another one, and each
/// of the others once.
const MOST_MESSAGES: usize = 2 * WINDOW + 8;

/// The end of a link at which calls run.
pub struct Target<C> {
    hello: Hello,
    endpoint: Arc<dyn Endpoint<C>>,
    limits: Limits,
    shared: Arc<Shared>,
    /// Told of each call that is about to run its handler, before that.
    on_start: Arc<dyn Fn(u64) + Send + Sync>,
}

struct Shared {
    outbox: Outbox,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_greeted: bool,
    is_told_to_go: bool,
    /// A call was cancelled whose handler had begun.
    has_cancelled: bool,
    calls: HashMap<u64, Mailbox>,
}

/// The messages of a call that it has not taken.
#[derive(Default)]
struct Mailbox {
    messages: VecDeque<ToCallee>,
    waker: Option<Waker>,
    has_started: bool,
    is_cancelled: bool,
}

impl State {
    /// The handler of a call is about to run. Returns the waker of the call.
    fn begin(&mut self, call: u64) -> Option<Waker> {
        let mailbox = self.calls.get_mut(&call)?;
        mailbox.has_started = true;
        self.has_cancelled |= mailbox.is_cancelled;
        mailbox.waker.take()
    }
}

impl<C: WireContract> Target<C> {
    /// Makes the end of a side that submits its calls to `endpoint`. `medium` is woken for each
    /// frame. `on_start` is called on the thread of the handler, before that begins, with the number
    /// of its call: a medium that others can read after the end of this program leaves a sign there.
    pub fn new(
        endpoint: Arc<dyn Endpoint<C>>,
        limits: impl Into<Limits>,
        medium: Waker,
        on_start: impl Fn(u64) + Send + Sync + 'static,
    ) -> Self {
        let limits = limits.into();
        Self {
            hello: Hello::of::<C>(limits.most_bytes()),
            endpoint,
            limits,
            shared: Arc::new(Shared {
                outbox: Outbox::new(medium),
                state: Mutex::new(State::default()),
            }),
            on_start: Arc::new(on_start),
        }
    }

    /// Returns the frames for the other side.
    pub fn outbox(&self) -> &Outbox {
        &self.shared.outbox
    }

    /// Takes a frame of the other side. A call that begins with it is returned, and has to be
    /// [run](Serving::run).
    ///
    /// # Errors
    /// The other side has broken the protocol.
    pub fn receive(&self, frame: Encoded) -> Result<Option<Serving<C>>, Violation> {
        let frame = Frame::read(frame, self.limits)?;
        if let Frame::Hello(theirs) = frame {
            return self.greet(&theirs).map(|()| None);
        }
        if !self.shared.state.lock().is_greeted {
            return Err(Violation::Unexpected("a message before its hello"));
        }
        match frame {
            Frame::Start { call, message } => self.start(call, &message),
            Frame::ToCallee { call, message } => self.deliver(call, message).map(|()| None),
            Frame::Ping(number) => {
                self.shared.outbox.put(Frame::Pong(number));
                Ok(None)
            }
            Frame::GoAway => {
                self.shared.state.lock().is_told_to_go = true;
                Ok(None)
            }
            _ => Err(Violation::Unexpected("a frame of the side that runs calls")),
        }
    }

    /// Returns whether the other side has said that no more calls follow.
    pub fn is_told_to_go(&self) -> bool {
        self.shared.state.lock().is_told_to_go
    }

    /// Returns whether handlers go on whose calls were cancelled, where `running` says how many run.
    /// They have a time to end: it is for the medium to look again after that, and to end this side.
    pub fn has_overrun(&self, running: impl FnOnce() -> usize) -> bool {
        if !self.has_cancelled() {
            return false;
        }
        let running = running();
        let mut state = self.shared.state.lock();
        let goes_on = |call: &&Mailbox| call.has_started && !call.is_cancelled;
        let expected = state.calls.values().filter(goes_on).count();
        state.has_cancelled = running > expected;
        state.has_cancelled
    }

    /// Returns whether [`has_overrun`](Self::has_overrun) is to be asked.
    pub fn has_cancelled(&self) -> bool {
        self.shared.state.lock().has_cancelled
    }

    fn greet(&self, theirs: &Hello) -> Result<(), Violation> {
        let mut state = self.shared.state.lock();
        if state.is_greeted {
            return Err(Violation::Unexpected("a second hello"));
        }
        let accepted = self.hello.accepts(theirs);
        state.is_greeted = accepted.is_ok();
        drop(state);
        let answer = match accepted {
            Ok(()) => Frame::Hello(self.hello.clone()),
            Err(why) => Frame::Refused(why),
        };
        self.shared.outbox.put(answer);
        Ok(())
    }

    fn start(&self, call: u64, message: &Encoded) -> Result<Option<Serving<C>>, Violation> {
        let accepted = match accept::<C>(message, self.limits) {
            Ok(accepted) => accepted,
            Err(why) => {
                let message = ToCaller::Refuse(why);
                self.shared.outbox.put(Frame::ToCaller { call, message });
                return Ok(None);
            }
        };
        let mut state = self.shared.state.lock();
        if state.calls.contains_key(&call) {
            return Err(Violation::Unexpected("a call with the number of another"));
        }
        state.calls.insert(call, Mailbox::default());
        drop(state);
        let (shared, on_start) = (Arc::clone(&self.shared), Arc::clone(&self.on_start));
        let lease = Lease::new(move |_worker| {
            // The sign first: a word that is still in the outbox is lost with this program.
            on_start(call);
            // It is sent with the answer if that is there at once.
            shared.outbox.put_aside(Frame::Started { call });
            let waker = shared.state.lock().begin(call);
            waker.into_iter().for_each(wake_contained);
            Ok(())
        });
        Ok(Some(Serving {
            call,
            accepted,
            lease,
            endpoint: Arc::clone(&self.endpoint),
            shared: Arc::clone(&self.shared),
        }))
    }

    fn deliver(&self, call: u64, message: ToCallee) -> Result<(), Violation> {
        let mut state = self.shared.state.lock();
        // A call that has ended on this side.
        let Some(mailbox) = state.calls.get_mut(&call) else {
            return Ok(());
        };
        if mailbox.messages.len() >= MOST_MESSAGES {
            return Err(Violation::Flood { call });
        }
        let is_cancelled = matches!(message, ToCallee::Cancel(_));
        mailbox.is_cancelled |= is_cancelled;
        let has_started = mailbox.has_started;
        match (mailbox.messages.back_mut(), message) {
            (Some(ToCallee::Credit(sum)), ToCallee::Credit(more)) => {
                *sum = sum.saturating_add(more);
            }
            (_, message) => mailbox.messages.push_back(message),
        }
        let waker = mailbox.waker.take();
        state.has_cancelled |= is_cancelled && has_started;
        drop(state);
        waker.into_iter().for_each(wake_contained);
        Ok(())
    }
}

/// A call that came through a link.
#[must_use = "the call does not begin unless it is run"]
pub struct Serving<C> {
    call: u64,
    accepted: Accepted<C>,
    lease: Lease,
    endpoint: Arc<dyn Endpoint<C>>,
    shared: Arc<Shared>,
}

impl<C: WireContract> Serving<C> {
    /// Submits the call, and moves its messages until it has ended.
    ///
    /// # Cancellation
    /// Dropping the future cancels the call.
    pub async fn run(self) {
        let Self {
            call,
            mut accepted,
            lease,
            endpoint,
            shared,
        } = self;
        let open = Open { call, shared };
        accepted.submit(endpoint, lease);
        poll_fn(|cx| open.poll(&mut accepted, cx)).await;
    }
}

/// A call that is open. Its drop closes it.
struct Open {
    call: u64,
    shared: Arc<Shared>,
}

impl Open {
    fn poll<C: WireContract>(
        &self,
        accepted: &mut Accepted<C>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        loop {
            while let Some(message) = self.take(cx) {
                accepted.receive(message);
            }
            match accepted.poll_message(cx) {
                Poll::Ready(Some(message)) => {
                    let call = self.call;
                    self.shared.outbox.put(Frame::ToCaller { call, message });
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    self.shared.outbox.flush();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Takes the next message, or leaves the waker.
    fn take(&self, cx: &task::Context<'_>) -> Option<ToCallee> {
        let new = cx.waker().clone();
        let mut state = self.shared.state.lock();
        let mailbox = state.calls.get_mut(&self.call)?;
        let (message, old) = match mailbox.messages.pop_front() {
            Some(message) => (Some(message), Some(new)),
            None => (None, mailbox.waker.replace(new)),
        };
        drop(state);
        drop(old);
        message
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let closed = self.shared.state.lock().calls.remove(&self.call);
        drop(closed);
    }
}

impl<C> fmt::Debug for Target<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Serving<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}
