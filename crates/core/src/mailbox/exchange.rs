//! The word and the two cells of a rendezvous, without any waiting.
//!
//! # States
//! The low bits of the word; the other bits say what is over for good (`CLOSED`, and which end
//! is gone), and stay.
//!
//! | state | what | request cell | response cell | left by |
//! |---|---|---|---|---|
//! | `NONE` | at the beginning, or a request was taken back | requester | requester | requester: `REQUEST` |
//! | `REQUEST` | a request waits | full | requester | responder: `TAKEN`; requester: `NONE` |
//! | `TAKEN` | the responder works | responder | responder | responder: `RESPONSE`, `UNANSWERED`; requester: `ABANDONED` |
//! | `RESPONSE` | a response waits, or was taken | requester | full | requester: `REQUEST` |
//! | `UNANSWERED` | there will be no response | requester | requester | requester: `REQUEST` |
//! | `ABANDONED` | the responder works, and nobody waits for it | responder; the other one requester | responder | responder: `NONE`; requester: `BEHIND` |
//! | `BEHIND` | the same, and the next request waits in the other cell | full; the other one responder | responder | responder: `REQUEST`; requester: `ABANDONED` |
//!
//! There are two request cells; the bit `OTHER` says which one the state is about. The step to
//! `BEHIND` turns it, since the responder may not have moved the abandoned request out of its
//! cell yet, and the step back to `ABANDONED` turns it back. When the responder responds, it has.
//!
//! "requester" and "responder" in a cell's column: that side may touch the cell. A full cell
//! belongs to whoever makes the next step out of the state: both may try, one compare-exchange
//! decides. Publishing releases the cell, the step that takes it acquires it.
//!
//! That there is one requester and one responder at a time is not a matter of the word: each
//! side has a [claim](End::claim), which a second user of the same end does not get. A
//! requester keeps it from the request until it has the response, which is why nobody needs a
//! step from `RESPONSE` back to `NONE`: a new request may be made in both.
//!
//! # Cost
//! While both sides are awake, a round trip is three compare-exchanges of the word (request,
//! take, response), which both sides look at meanwhile; the claims and seats are written to by
//! one side only, and have cache lines of their own.

use std::fmt;
use std::sync::Arc;

use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use insula_sync::cell::UnsafeCell;

use super::error::{MailboxError, Undelivered};
use crate::blocking::{Awaited, Held, Holder, Seat, Side, Spin};

const NONE: u32 = 0;
const REQUEST: u32 = 1;
const TAKEN: u32 = 2;
const RESPONSE: u32 = 3;
const UNANSWERED: u32 = 4;
const ABANDONED: u32 = 5;
const BEHIND: u32 = 6;
const STATE: u32 = 7;

const CLOSED: u32 = 8;
const REQUESTER_GONE: u32 = 16;
const RESPONDER_GONE: u32 = 32;

/// Which of the request cells.
const OTHER: u32 = 64;

/// What is shared by the two ends.
pub(crate) struct Exchange<Q, A> {
    line: Line<Q, A>,
    pub(super) requester: End,
    pub(super) responder: End,
}

/// What both sides look at.
#[repr(align(128))]
struct Line<Q, A> {
    word: AtomicU32,
    requests: [UnsafeCell<Option<Q>>; 2],
    response: UnsafeCell<Option<A>>,
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
    pub(super) seat: Arc<Seat>,
}

/// The right to act for a side.
pub(super) struct Claim<'a>(&'a AtomicBool);

impl End {
    fn new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            holder: Holder::unknown(),
            spin: Spin::default(),
            seat: Seat::new(),
        }
    }

    /// `None` while somebody else acts for this side.
    #[inline]
    pub(super) fn claim(&self) -> Option<Claim<'_>> {
        // Acquire pairs with the Release of the claim before.
        (!self.claimed.swap(true, Ordering::Acquire)).then_some(Claim(&self.claimed))
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
            line: Line {
                word: AtomicU32::new(NONE),
                requests: [UnsafeCell::new(None), UnsafeCell::new(None)],
                response: UnsafeCell::new(None),
            },
            requester: End::new(),
            responder: End::new(),
        }
    }

    #[inline]
    fn word(&self) -> u32 {
        // Acquire pairs with the Release of every step.
        self.line.word.load(Ordering::Acquire)
    }

    /// From `word`, as it was read, to another one. The word that is there instead, if it is
    /// not that.
    #[inline]
    fn step(&self, word: u32, next: u32) -> Result<(), u32> {
        self.line
            .word
            .compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    /// Changes what is in the request cell that `word` names.
    #[inline]
    fn set_request(&self, word: u32, request: Option<Q>) -> Option<Q> {
        let cell = &self.line.requests[usize::from(word & OTHER != 0)];
        // SAFETY: each caller is the side that the table of states names.
        cell.with_mut(|cell| std::mem::replace(unsafe { &mut *cell }, request))
    }

    fn set_response(&self, response: Option<A>) -> Option<A> {
        self.line
            .response
            // SAFETY: each caller is the side that the table of states names.
            .with_mut(|cell| std::mem::replace(unsafe { &mut *cell }, response))
    }

    /// Makes a request. Only with the requester's claim.
    #[inline]
    pub(crate) fn post(&self, request: Q) -> Result<(), Undelivered<Q>> {
        let mut word = self.word();
        let mut message = request;
        loop {
            if let Some(error) = over(word, RESPONDER_GONE) {
                return Err(Undelivered { message, error });
            }
            let next = match word & STATE {
                NONE | RESPONSE | UNANSWERED => with_state(word, REQUEST),
                _ => with_state(word ^ OTHER, BEHIND),
            };
            self.set_request(next, Some(message));
            let Err(now) = self.step(word, next) else {
                break;
            };
            word = now;
            match self.set_request(next, None) {
                Some(back) => message = back,
                None => unreachable!("nobody else may touch it before the step"),
            }
        }
        self.responder.seat.unpark();
        Ok(())
    }

    /// Whether the requester has to wait no longer.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        let word = self.word();
        matches!(word & STATE, RESPONSE | UNANSWERED) || over(word, RESPONDER_GONE).is_some()
    }

    /// Takes the response, if that is how the wait was settled.
    #[inline]
    pub(crate) fn collect(&self) -> Result<A, MailboxError> {
        let word = self.word();
        match word & STATE {
            RESPONSE => self.set_response(None).ok_or(MailboxError::Unanswered),
            UNANSWERED => Err(MailboxError::Unanswered),
            _ => Err(over(word, RESPONDER_GONE).unwrap_or(MailboxError::IllegalState)),
        }
    }

    /// Stops waiting for the response.
    pub(crate) fn give_up(&self) -> GaveUp<Q, A> {
        let mut word = self.word();
        loop {
            let next = match word & STATE {
                REQUEST => with_state(word, NONE),
                BEHIND => with_state(word ^ OTHER, ABANDONED),
                TAKEN => with_state(word, ABANDONED),
                RESPONSE => return GaveUp::Answered(self.set_response(None)),
                UNANSWERED => return GaveUp::Answered(None),
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
        let answered = if response.is_some() {
            RESPONSE
        } else {
            UNANSWERED
        };
        if !self.owes() {
            return Err((response, MailboxError::IllegalState));
        }
        self.set_response(response);
        loop {
            let (next, is_wanted) = match word & STATE {
                TAKEN => (answered, true),
                BEHIND => (REQUEST, false),
                _ => (NONE, false),
            };
            // Behind this step the cell may be the requester's.
            let unwanted = (!is_wanted).then(|| self.set_response(None));
            match (self.step(word, with_state(word, next)), unwanted) {
                (Ok(()), None) => break,
                (Ok(()), Some(response)) => return Err((response, MailboxError::Abandoned)),
                (Err(now), unwanted) => {
                    word = now;
                    if let Some(response) = unwanted {
                        self.set_response(response);
                    }
                }
            }
        }
        self.requester.seat.unpark();
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
        self.line.word.fetch_or(bit, Ordering::AcqRel);
        self.requester.seat.unpark();
        self.responder.seat.unpark();
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
            RESPONSE if self.requester.is_claimed() => Phase::Response,
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

impl<Q: Send, A: Send> Awaited for Exchange<Q, A> {
    fn each_holder(&self, side: Side, found: &mut dyn FnMut(Held)) {
        let word = self.word();
        let (is_settled, other) = match side {
            Side::Requester => (self.is_settled(), &self.responder),
            Side::Responder => {
                // One that has just taken a request does not wait, though its edge still stands.
                let is_idle = matches!(word & STATE, NONE | RESPONSE | UNANSWERED);
                let is_over = over(word, REQUESTER_GONE).is_some();
                (!is_idle || is_over, &self.requester)
            }
        };
        if !is_settled {
            other.holder.held().into_iter().for_each(found);
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
