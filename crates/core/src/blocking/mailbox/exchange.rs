//! The word and the cells of a rendezvous, without any waiting.
//!
//! # States
//! The low bits of the word; the other bits say what is over for good (`CLOSED`, and which end
//! is gone), and stay.
//!
//! | state | what | request cell | left by |
//! |---|---|---|---|
//! | `NONE` | at the beginning, or a request was taken back | requester | requester: `REQUEST` |
//! | `REQUEST` | a request waits | full | responder: `TAKEN`; requester: `NONE` |
//! | `TAKEN` | the responder works | responder | responder: `ANSWERED`; requester: `ABANDONED` |
//! | `ANSWERED` | a response waits, or was taken, or there is none | requester | requester: `REQUEST` |
//! | `ABANDONED` | the responder works, and nobody waits for it | responder; the other one requester | responder: `NONE`; requester: `BEHIND` |
//! | `BEHIND` | the same, and the next request waits in the other cell | full; the other one responder | responder: `REQUEST`; requester: `ABANDONED` |
//!
//! There are two request cells; the bit `OTHER` says which one the state is about. The step to
//! `BEHIND` turns it, since the responder may not have moved the abandoned request out of its
//! cell yet, and the step back to `ABANDONED` turns it back. When the responder responds, it has.
//!
//! "requester" and "responder" in the cell's column: that side may touch the cell. A full cell
//! belongs to whoever makes the next step out of the state: both may try, one compare-exchange
//! decides. Publishing releases the cell, the step that takes it acquires it.
//!
//! The response cell is the responder's from its step to `ANSWERED` on, and the requester's from
//! when the responder has counted the answer, to the next request. So who finds `ANSWERED` without
//! the count waits for it: it comes at once, as no foreign code runs between the two. Closing
//! changes the count as well, in its lowest bit; a requester that waits looks at nothing else.
//!
//! That there is one requester and one responder at a time is not a matter of the word: each
//! side has a [claim](End::claim), which a second user of the same end does not get. A
//! requester keeps it from the request until it has the response, which is why nobody needs a
//! step from `ANSWERED` back to `NONE`: a new request may be made in both.
//!
//! # Cost
//! While both sides are awake, a round trip costs what its cache lines take from core to core.
//! There are two. That of the request goes to the responder, who takes the request and steps to
//! `ANSWERED` there, undisturbed; that of the response goes to the requester, who looks at
//! nothing else meanwhile. With the next request the requester writes to the first line without
//! having read it: it remembers what it was left as. Whatever else is written to belongs to one
//! side and has lines of its own.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use insula_sync::cell::UnsafeCell;
use insula_sync::wait;

use super::error::{MailboxError, Undelivered};
use crate::blocking::{Awaited, EndCall, Ended, Holder, Party, PartyId, Seat, Side, Spin};

const NONE: u32 = 0;
const REQUEST: u32 = 1;
const TAKEN: u32 = 2;
const ANSWERED: u32 = 3;
const ABANDONED: u32 = 4;
const BEHIND: u32 = 5;
const STATE: u32 = 7;

const CLOSED: u32 = 8;
const REQUESTER_GONE: u32 = 16;
const RESPONDER_GONE: u32 = 32;

/// Which of the request cells.
const OTHER: u32 = 64;

/// The lowest bit of the count of answers: there will be no more.
const NO_MORE: u32 = 1;
/// One answer.
const ANSWER: u32 = 2;

/// What is shared by the two ends.
pub(crate) struct Exchange<Q, A> {
    request: RequestLine<Q>,
    response: ResponseLine<A>,
    memory: Memory,
    seats: Seats,
    pub(super) requester: End,
    pub(super) responder: End,
}

/// What a responder that waits looks at.
#[repr(align(128))]
struct RequestLine<Q> {
    word: AtomicU32,
    cells: [UnsafeCell<Option<Q>>; 2],
}

/// What a requester that waits looks at.
#[repr(align(128))]
struct ResponseLine<A> {
    /// How many requests were answered or declined, and `NO_MORE`. Only whether it changed counts.
    answers: AtomicU32,
    /// What was moved out stays behind as bits, so that the requester does not write here; only
    /// the count says whether there is something. `None` was declined.
    cell: UnsafeCell<Option<ManuallyDrop<A>>>,
}

/// What the requester knows. Changed with its claim only.
#[repr(align(128))]
struct Memory {
    /// The count of answers, at the last one that it took.
    answers: AtomicU32,
    /// What the word is, unless an end is over by now; or `UNKNOWN`.
    word: AtomicU32,
}

/// More bits than a word ever has.
const UNKNOWN: u32 = u32::MAX;

/// Where the sides sleep. Never changes.
#[repr(align(128))]
struct Seats {
    requester: Arc<Seat>,
    responder: Arc<Seat>,
}

// SAFETY: the cells are touched by one thread at a time, as the table of states says; values
// move between threads, and are never shared.
unsafe impl<Q: Send, A: Send> Sync for Exchange<Q, A> {}
// SAFETY: it owns what it holds.
unsafe impl<Q: Send, A: Send> Send for Exchange<Q, A> {}

/// What belongs to one side.
#[repr(align(128))]
pub(super) struct End {
    claimed: AtomicBool,
    pub(super) holder: Holder,
    pub(super) spin: Spin,
    /// What gives the end up when its holder ends.
    end_call: insula_sync::Mutex<Option<EndCall>>,
}

/// The right to act for a side.
pub(super) struct Claim<'a>(&'a AtomicBool);

impl End {
    fn new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            holder: Holder::unknown(),
            spin: Spin::default(),
            end_call: insula_sync::Mutex::new(None),
        }
    }

    /// Exchanges the call at the end of the holder.
    fn set_end_call(&self, call: Option<EndCall>) {
        let before = std::mem::replace(&mut *self.end_call.lock(), call);
        if let Some(before) = before {
            before.cancel();
        }
    }

    /// `None` while another thread acts for this side.
    #[inline]
    pub(super) fn claim(&self) -> Option<Claim<'_>> {
        // Acquire pairs with the Release of the claim before. The claim is made only once it is
        // won: dropping one gives the place free, also if the place is that of another thread.
        (!self.claimed.swap(true, Ordering::Acquire)).then(|| Claim(&self.claimed))
    }

    fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }
}

impl Drop for Claim<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What became of a request that its maker gave up.
#[derive(Debug)]
pub(crate) enum GaveUp<Q, A> {
    /// The responder never had it.
    TookBack(Q),
    /// The responder has it; what it responds will be given back to it.
    Left,
    /// The response came first; `None` if the responder declined.
    Answered(Option<A>),
}

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    None,
    Request,
    Response,
}

impl<Q, A> Exchange<Q, A> {
    pub(crate) fn new() -> Self {
        Self {
            request: RequestLine {
                word: AtomicU32::new(NONE),
                cells: [UnsafeCell::new(None), UnsafeCell::new(None)],
            },
            response: ResponseLine {
                answers: AtomicU32::new(0),
                cell: UnsafeCell::new(None),
            },
            memory: Memory {
                answers: AtomicU32::new(0),
                word: AtomicU32::new(NONE),
            },
            seats: Seats {
                requester: Seat::new(),
                responder: Seat::new(),
            },
            requester: End::new(),
            responder: End::new(),
        }
    }

    #[inline]
    fn word(&self) -> u32 {
        // Acquire pairs with the Release of every step.
        self.request.word.load(Ordering::Acquire)
    }

    /// From `word`, as it was read, to another one. The word that is there instead, if it is
    /// not that.
    #[inline]
    fn step(&self, word: u32, next: u32) -> Result<(), u32> {
        self.request
            .word
            .compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    /// Changes what is in the request cell that `word` names.
    #[inline]
    fn set_request(&self, word: u32, request: Option<Q>) -> Option<Q> {
        let cell = &self.request.cells[usize::from(word & OTHER != 0)];
        // SAFETY: each caller is the side that the table of states names.
        cell.with_mut(|cell| std::mem::replace(unsafe { &mut *cell }, request))
    }

    /// Makes a request. Only with the requester's claim.
    #[inline]
    pub(crate) fn post(&self, request: Q) -> Result<(), Undelivered<Q>> {
        // Relaxed: it is the requester's own.
        let mut word = match self.memory.word.load(Ordering::Relaxed) {
            UNKNOWN => self.word(),
            remembered => remembered,
        };
        let mut message = request;
        loop {
            if let Some(error) = over(word, RESPONDER_GONE) {
                return Err(Undelivered { message, error });
            }
            let next = match word & STATE {
                NONE | ANSWERED => with_state(word, REQUEST),
                _ => with_state(word ^ OTHER, BEHIND),
            };
            self.set_request(next, Some(message));
            let Err(now) = self.step(word, next) else {
                word = next;
                break;
            };
            word = now;
            match self.set_request(next, None) {
                Some(back) => message = back,
                None => unreachable!("nobody else may touch it before the step"),
            }
        }
        self.remember(with_state(word, ANSWERED));
        self.seats.responder.unpark();
        Ok(())
    }

    fn remember(&self, word: u32) {
        // Relaxed: it is the requester's own.
        self.memory.word.store(word, Ordering::Relaxed);
    }

    /// Whether the requester has to wait no longer.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        // Acquire pairs with the Release of the count.
        let answers = self.response.answers.load(Ordering::Acquire);
        answers != self.memory.answers.load(Ordering::Relaxed)
    }

    /// Takes the response, if that is how the wait was settled.
    #[inline]
    pub(crate) fn collect(&self) -> Result<A, MailboxError> {
        match self.take_answer() {
            Some(response) => response.ok_or(MailboxError::Unanswered),
            None => {
                let error = over(self.word(), RESPONDER_GONE);
                Err(error.unwrap_or(MailboxError::IllegalState))
            }
        }
    }

    /// What the responder made of the request, if it was answered or declined. Once for each
    /// request, and not after another one was made.
    #[inline]
    fn take_answer(&self) -> Option<Option<A>> {
        let before = self.memory.answers.load(Ordering::Relaxed);
        let count = || self.response.answers.load(Ordering::Acquire) & !NO_MORE;
        let mut answers = count();
        if answers == before {
            if self.word() & STATE != ANSWERED {
                return None;
            }
            while answers == before {
                wait::yield_thread();
                answers = count();
            }
        }
        self.memory.answers.store(answers, Ordering::Relaxed);
        // SAFETY: it was counted, so the cell is the requester's, and is read once.
        let response = self.response.cell.with(|cell| unsafe { cell.read() });
        Some(response.map(ManuallyDrop::into_inner))
    }

    /// Stops waiting for the response.
    pub(crate) fn give_up(&self) -> GaveUp<Q, A> {
        self.remember(UNKNOWN);
        let mut word = self.word();
        loop {
            let next = match word & STATE {
                REQUEST => with_state(word, NONE),
                BEHIND => with_state(word ^ OTHER, ABANDONED),
                TAKEN => with_state(word, ABANDONED),
                ANSWERED => return self.take_answer().map_or(GaveUp::Left, GaveUp::Answered),
                _ => return GaveUp::Left,
            };
            match self.step(word, next) {
                Ok(()) if word & STATE == TAKEN => return GaveUp::Left,
                Ok(()) => {
                    let request = self.set_request(word, None);
                    return request.map_or(GaveUp::Left, GaveUp::TookBack);
                }
                Err(now) => word = now,
            }
        }
    }

    /// Takes the request, if there is one, or tells why there will be none. Only with the
    /// responder's claim.
    #[inline]
    pub(crate) fn take(&self) -> Option<Result<Q, MailboxError>> {
        let mut word = self.word();
        loop {
            if word & STATE != REQUEST || word & CLOSED != 0 {
                // An end whose message loop was broken takes nothing any more.
                let broken = (word & RESPONDER_GONE != 0).then_some(MailboxError::IllegalState);
                return over(word, REQUESTER_GONE).or(broken).map(Err);
            }
            match self.step(word, with_state(word, TAKEN)) {
                Ok(()) => return self.set_request(word, None).map(Ok),
                Err(now) => word = now,
            }
        }
    }

    /// Whether the responder has a request to which it has not responded.
    #[inline]
    pub(super) fn owes(&self) -> bool {
        matches!(self.word() & STATE, TAKEN | ABANDONED | BEHIND)
    }

    /// Responds, or declines to. Only with the responder's claim.
    #[inline]
    pub(crate) fn answer(&self, response: Option<A>) -> Result<(), (Option<A>, MailboxError)> {
        let mut word = self.word();
        loop {
            let next = match word & STATE {
                TAKEN => ANSWERED,
                BEHIND => REQUEST,
                ABANDONED => NONE,
                _ => return Err((response, MailboxError::IllegalState)),
            };
            match self.step(word, with_state(word, next)) {
                Ok(()) if next == ANSWERED => break,
                Ok(()) => return Err((response, MailboxError::Abandoned)),
                Err(now) => word = now,
            }
        }
        let response = response.map(ManuallyDrop::new);
        self.response
            .cell
            // SAFETY: it is the responder's from the step to the count. What is overwritten are
            // bits.
            .with_mut(|cell| unsafe { cell.write(response) });
        self.response.answers.fetch_add(ANSWER, Ordering::Release);
        self.seats.requester.unpark();
        Ok(())
    }

    /// Ends it for both sides.
    pub(crate) fn close(&self) {
        self.finish(CLOSED);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word() & CLOSED != 0
    }

    /// An end is dropped.
    pub(crate) fn leave(&self, side: Side) {
        self.finish(match side {
            Side::Requester => REQUESTER_GONE,
            Side::Responder => RESPONDER_GONE,
        });
    }

    fn finish(&self, bit: u32) {
        self.request.word.fetch_or(bit, Ordering::AcqRel);
        if bit != REQUESTER_GONE {
            // After the word, which says why.
            self.response.answers.fetch_or(NO_MORE, Ordering::Release);
        }
        self.seats.requester.unpark();
        self.seats.responder.unpark();
    }

    pub(super) fn seat(&self, side: Side) -> &Arc<Seat> {
        match side {
            Side::Requester => &self.seats.requester,
            Side::Responder => &self.seats.responder,
        }
    }

    pub(super) fn end(&self, side: Side) -> &End {
        match side {
            Side::Requester => &self.requester,
            Side::Responder => &self.responder,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.word() & STATE {
            REQUEST | TAKEN | BEHIND => Phase::Request,
            // A response that was taken leaves no other trace than that nobody waits.
            ANSWERED if self.requester.is_claimed() => Phase::Response,
            _ => Phase::None,
        }
    }
}

#[inline]
fn with_state(word: u32, state: u32) -> u32 {
    (word & !STATE) | state
}

/// Why one side need not wait for the other any more, which `gone` says of the other.
#[inline]
fn over(word: u32, gone: u32) -> Option<MailboxError> {
    if word & CLOSED != 0 {
        Some(MailboxError::Closed)
    } else if word & gone != 0 {
        Some(MailboxError::PeerDied)
    } else {
        None
    }
}

impl<Q: Send + 'static, A: Send + 'static> Exchange<Q, A> {
    /// An end is `party`'s from now on: the end is gone when the party has ended, unless another
    /// party has used it meanwhile.
    pub(super) fn attach(self: &Arc<Self>, side: Side, party: &Party) {
        let id = party.id;
        self.end(side).holder.set(id);
        let exchange = Arc::downgrade(self);
        let call = party.when_ended(move || {
            if let Some(exchange) = exchange.upgrade() {
                exchange.holder_ended(side, id);
            }
        });
        match call {
            Ok(call) => self.end(side).set_end_call(Some(call)),
            Err(Ended) => self.holder_ended(side, id),
        }
    }

    fn holder_ended(&self, side: Side, party: PartyId) {
        if self.end(side).holder.party() == Some(party) {
            self.leave(side);
        }
    }

    /// The object of an end is dropped.
    pub(super) fn dropped(&self, side: Side) {
        self.end(side).set_end_call(None);
        self.leave(side);
    }
}

impl<Q: Send, A: Send> Awaited for Exchange<Q, A> {
    fn each_holder(&self, side: Side, found: &mut dyn FnMut(PartyId)) {
        let word = self.word();
        let (is_settled, other) = match side {
            Side::Requester => (self.is_settled(), &self.responder),
            Side::Responder => {
                // One that has just taken a request does not wait, though its edge still stands.
                let is_idle = matches!(word & STATE, NONE | ANSWERED);
                let is_over = over(word, REQUESTER_GONE).is_some();
                (!is_idle || is_over, &self.requester)
            }
        };
        if !is_settled {
            other.holder.party().into_iter().for_each(found);
        }
    }
}

impl<Q, A> fmt::Debug for Exchange<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}
