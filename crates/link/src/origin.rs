//! The end at which calls are made.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::task::{self, Poll, Waker};

use insula_core::wake_contained;
use insula_rpc::WINDOW;
use insula_rpc::wire::{Encoded, Frame, Hello, Limits, Link, Lost, News, ToCallee, ToCaller};
use insula_sync::Mutex;

use crate::{Outbox, Violation};

/// The messages that may wait at one call: the items of a window in each direction, those of the
/// caller as their credits, with a report between any two, and each of the others once.
const MOST_NEWS: usize = 4 * WINDOW + 8;

/// What an [`Origin`] does and allows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hello of this side.
    pub hello: Hello,
    /// What a message may have at most. Segments go beside it only if the medium carries them.
    pub limits: Limits,
}

/// The end of a link at which calls are made. It is the [`Link`] that
/// [`relay`](insula_rpc::wire::relay) passes calls on through.
pub struct Origin {
    settings: Settings,
    outbox: Outbox,
    state: Mutex<State>,
    /// Called once, when the link is lost and no call is open any more.
    on_end: Mutex<Option<OnEnd>>,
}

type OnEnd = Box<dyn FnOnce(&str) + Send>;

#[derive(Default)]
struct State {
    phase: Phase,
    /// The number of the next call.
    next: u64,
    calls: HashMap<u64, Mailbox>,
    /// The last number of a ping, and of a pong.
    pings: (u64, u64),
    /// Waits for the end of [`Phase::Greeting`].
    greeted: Option<Waker>,
}

#[derive(Default)]
enum Phase {
    /// The other side has not answered the hello.
    #[default]
    Greeting,
    Open,
    /// For this reason.
    Lost(String),
}

/// The news of a call that it has not taken.
#[derive(Default)]
struct Mailbox {
    news: VecDeque<News>,
    waker: Option<Waker>,
    has_started: bool,
}

impl Origin {
    /// Makes the end, and puts its hello into the outbox. `medium` is woken for each frame, and
    /// `on_end` is called with the reason once the link is lost and its last call has ended.
    pub fn new(
        settings: Settings,
        medium: Waker,
        on_end: impl FnOnce(&str) + Send + 'static,
    ) -> Self {
        let origin = Self {
            outbox: Outbox::new(medium),
            state: Mutex::new(State::default()),
            on_end: Mutex::new(Some(Box::new(on_end))),
            settings,
        };
        let hello = origin.settings.hello.clone();
        origin.outbox.put(Frame::Hello(hello));
        origin
    }

    /// Returns the frames for the other side.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Ready once the other side takes calls.
    ///
    /// # Errors
    /// It does not, for this reason.
    pub fn poll_greeted(&self, cx: &mut task::Context<'_>) -> Poll<Result<(), String>> {
        let new = cx.waker().clone();
        let mut state = self.state.lock();
        let (polled, old) = match &state.phase {
            Phase::Greeting => (Poll::Pending, state.greeted.replace(new)),
            Phase::Open => (Poll::Ready(Ok(())), Some(new)),
            Phase::Lost(why) => (Poll::Ready(Err(why.clone())), Some(new)),
        };
        drop(state);
        drop(old);
        polled
    }

    /// Takes a frame of the other side.
    ///
    /// # Errors
    /// The other side has broken the protocol. The link is lost.
    pub fn receive(&self, frame: Encoded) -> Result<(), Violation> {
        let received = Frame::read(frame, self.settings.limits)
            .map_err(Violation::from)
            .and_then(|frame| self.accept(frame));
        if let Err(violation) = &received {
            // What it has said before was true or not; nothing is known of what it has started.
            self.lose(Lost::Incomplete, &violation.to_string());
        }
        received
    }

    fn accept(&self, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Hello(theirs) => self.greet(&theirs),
            Frame::Refused(why) => {
                self.lose(Lost::Complete, &why);
                Ok(())
            }
            Frame::Started { call } => self.deliver(call, News::Started),
            Frame::ToCaller { call, message } => self.deliver(call, News::Message(message)),
            Frame::Pong(number) => {
                self.state.lock().pings.1 = number;
                Ok(())
            }
            _ => Err(Violation::Unexpected(
                "a frame of the side that makes calls",
            )),
        }
    }

    fn greet(&self, theirs: &Hello) -> Result<(), Violation> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Greeting => {}
            Phase::Open => return Err(Violation::Unexpected("a second hello")),
            Phase::Lost(_) => return Ok(()),
        }
        if let Err(why) = self.settings.hello.accepts(theirs) {
            drop(state);
            self.lose(Lost::Complete, &why);
            return Ok(());
        }
        state.phase = Phase::Open;
        let greeted = state.greeted.take();
        drop(state);
        greeted.into_iter().for_each(wake_contained);
        Ok(())
    }

    fn deliver(&self, call: u64, news: News) -> Result<(), Violation> {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Greeting) {
            return Err(Violation::Unexpected("a message before its hello"));
        }
        // A call that has ended on this side.
        let Some(mailbox) = state.calls.get_mut(&call) else {
            return Ok(());
        };
        if mailbox.news.len() >= MOST_NEWS {
            return Err(Violation::Flood { call });
        }
        mailbox.has_started |= matches!(news, News::Started);
        let waker = mailbox.put(news);
        drop(state);
        waker.into_iter().for_each(wake_contained);
        Ok(())
    }

    /// Says that nothing will come any more, for this reason. `Complete` says that everything has
    /// been given to [`receive`](Self::receive) that the other side ever said.
    pub fn lose(&self, lost: Lost, why: &str) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Lost(_)) {
            return;
        }
        state.phase = Phase::Lost(why.to_owned());
        let mut wakers: Vec<_> = state.greeted.take().into_iter().collect();
        for mailbox in state.calls.values_mut() {
            wakers.extend(mailbox.put(News::Lost(lost)));
        }
        let is_empty = state.calls.is_empty();
        drop(state);
        self.outbox.clear();
        wakers.into_iter().for_each(wake_contained);
        if is_empty {
            self.end();
        }
    }

    /// Says that the handler of a call has begun to run, which the other side has left a sign of and
    /// could not say any more. For a medium that keeps such signs; before [`lose`](Self::lose).
    pub fn has_begun(&self, was_started: impl Fn(u64) -> bool) {
        let mut state = self.state.lock();
        let mut wakers = Vec::new();
        for (&call, mailbox) in &mut state.calls {
            if !mailbox.has_started && was_started(call) {
                mailbox.has_started = true;
                wakers.extend(mailbox.put(News::Started));
            }
        }
        drop(state);
        wakers.into_iter().for_each(wake_contained);
    }

    /// Asks the other side whether it is alive, unless an earlier question is not answered yet.
    /// Returns `true` if it has answered every question.
    pub fn ping(&self) -> bool {
        let mut state = self.state.lock();
        let (asked, answered) = state.pings;
        if asked != answered || !matches!(state.phase, Phase::Open) {
            return asked == answered;
        }
        state.pings.0 += 1;
        let number = state.pings.0;
        drop(state);
        self.outbox.put(Frame::Ping(number));
        true
    }

    /// Says that no more calls follow.
    pub fn go_away(&self) {
        if !self.is_lost() {
            self.outbox.put(Frame::GoAway);
        }
    }

    fn end(&self) {
        let why = match &self.state.lock().phase {
            Phase::Lost(why) => why.clone(),
            _ => return,
        };
        let on_end = self.on_end.lock().take();
        if let Some(on_end) = on_end {
            on_end(&why);
        }
    }
}

impl Mailbox {
    /// Returns the waker of the call.
    fn put(&mut self, news: News) -> Option<Waker> {
        let mut news = news;
        // Of these only the last one, or the sum, matters.
        if let (News::Message(new), Some(News::Message(last))) = (&mut news, self.news.back_mut()) {
            match (last, new) {
                (ToCaller::Credit(sum), ToCaller::Credit(more)) => {
                    *sum = sum.saturating_add(*more);
                    return self.waker.take();
                }
                (last @ ToCaller::Progress(_), new @ ToCaller::Progress(_)) => {
                    std::mem::swap(last, new);
                    return self.waker.take();
                }
                _ => {}
            }
        }
        self.news.push_back(news);
        self.waker.take()
    }
}

impl Link for Origin {
    fn open(&self, message: Encoded) -> Option<u64> {
        let mut state = self.state.lock();
        // Before the other side has answered the hello too: a call that it does not accept then was not
        // started.
        if matches!(state.phase, Phase::Lost(_)) {
            return None;
        }
        let call = state.next;
        state.next += 1;
        state.calls.insert(call, Mailbox::default());
        drop(state);
        self.outbox.put(Frame::Start { call, message });
        Some(call)
    }

    fn send(&self, call: u64, message: ToCallee) {
        if !self.is_lost() {
            self.outbox.put(Frame::ToCallee { call, message });
        }
    }

    fn poll_news(&self, call: u64, cx: &mut task::Context<'_>) -> Poll<News> {
        let new = cx.waker().clone();
        let mut state = self.state.lock();
        let Some(mailbox) = state.calls.get_mut(&call) else {
            drop(state);
            return Poll::Pending;
        };
        let (polled, old) = match mailbox.news.pop_front() {
            Some(news) => (Poll::Ready(news), Some(new)),
            None => (Poll::Pending, mailbox.waker.replace(new)),
        };
        drop(state);
        drop(old);
        polled
    }

    fn close(&self, call: u64) {
        let mut state = self.state.lock();
        let closed = state.calls.remove(&call);
        let is_over = state.calls.is_empty() && matches!(state.phase, Phase::Lost(_));
        drop(state);
        drop(closed);
        if is_over {
            self.end();
        }
    }

    fn is_lost(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Lost(_))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}
