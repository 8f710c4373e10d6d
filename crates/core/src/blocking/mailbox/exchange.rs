//! The word and the cells of a rendezvous, without any waiting.
//!
//! # States
//! The low bits of the word are the state. The other bits say whether the rendezvous is closed and
//! which end is gone; once set, they stay. `OTHER` is the exception (see below).
//!
//! | state | meaning | request cell | left by |
//! |---|---|---|---|
//! | `NONE` | at the beginning, or a request was taken back | requester | requester: `REQUEST` |
//! | `REQUEST` | a request waits | full | responder: `TAKEN`; requester: `NONE` |
//! | `TAKEN` | the responder works | responder | responder: `ANSWERED`; requester: `ABANDONED` |
//! | `ANSWERED` | a response waits, or was taken, or the responder declined | requester | requester: `REQUEST` |
//! | `ABANDONED` | the responder works, and no requester waits for it | responder; other cell: requester | responder: `NONE`; requester: `BEHIND` |
//! | `BEHIND` | as `ABANDONED`, and the next request waits in the other cell | full; other cell: responder | responder: `REQUEST`; requester: `ABANDONED` |
//!
//! There are two request cells, and the bit `OTHER` selects the one that the state is about. The
//! step to `BEHIND` flips the bit, since the responder may not have moved the abandoned request out
//! of its cell yet; the step back to `ABANDONED` flips it back. By the time that the responder
//! responds, it has moved the request out.
//!
//! "requester" and "responder" in the column of the cell name the side that may touch the cell. A
//! full cell belongs to the side that makes the next step out of the state: both may try, and one
//! compare-exchange decides. The step that publishes a request releases its cell; the step that
//! takes the request acquires it.
//!
//! The response cell belongs to the responder from its step to `ANSWERED` until it has counted the
//! answer, and then to the requester until the next request. A requester that finds `ANSWERED`
//! without the count therefore waits for the count, which comes at once: no foreign code runs
//! between the two. Closing changes the count too, in its lowest bit, since a waiting requester
//! looks at nothing else.
//!
//! The word does not ensure that there is one requester and one responder at a time: each side
//! has a [claim](End::claim), which a second user of the same end does not get. A requester keeps
//! its claim from the request until it has the response, so there is no need for a step from
//! `ANSWERED` back to `NONE`: a new request may be made in both.
//!
//! # Cost
//! While both sides are awake, a round trip costs the transfer of two cache lines between cores.
//! The line of the request moves to the responder, which takes the request and steps to `ANSWERED`
//! there, undisturbed; the line of the response moves to the requester, which looks at nothing else
//! meanwhile. For its next request, the requester writes to the first line without reading it: it
//! remembers the word. All other data that is written belongs to one side and has lines of its own.

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

/// Selects the second request cell.
const OTHER: u32 = 64;

/// The lowest bit of the count of answers: there will be no more.
const NO_MORE: u32 = 1;
/// One answer in the count.
const ANSWER: u32 = 2;

/// The state that the two ends share.
pub(crate) struct Exchange<Q, A> {
    request: RequestLine<Q>,
    response: ResponseLine<A>,
    memory: Memory,
    seats: Seats,
    pub(super) requester: End,
    pub(super) responder: End,
}

/// The cache lines that a waiting responder looks at.
#[repr(align(128))]
struct RequestLine<Q> {
    word: AtomicU32,
    cells: [UnsafeCell<Option<Q>>; 2],
}

/// The cache lines that a waiting requester looks at.
// Apart from the lines of the request: when both shared one, a round trip moved it between the
// cores nine times; the two lines move five times (2026-11-21).
#[repr(align(128))]
struct ResponseLine<A> {
    /// The number of requests that were answered or declined, and `NO_MORE`. It is only compared
    /// for a change, so it may wrap.
    answers: AtomicU32,
    /// A response that was moved out stays behind as bits, so that the requester does not write to
    /// this line; only the count says whether the cell is full. `None` if the responder declined.
    cell: UnsafeCell<Option<ManuallyDrop<A>>>,
}

/// The memory of the requester. Written only with the requester's claim.
#[repr(align(128))]
struct Memory {
    /// The count of answers when the requester last took one.
    answers: AtomicU32,
    /// The word that the next request finds, apart from the bits that close the rendezvous or say
    /// that an end is gone; or `UNKNOWN`.
    word: AtomicU32,
}

/// No word: it has bits that no word has.
const UNKNOWN: u32 = u32::MAX;

/// The seats of the two sides. Never written after the creation.
#[repr(align(128))]
struct Seats {
    requester: Arc<Seat>,
    responder: Arc<Seat>,
}

// SAFETY: the table of states and the claims admit one thread at a time to each cell. Values move
// between threads, which `Send` allows, and are never shared.
unsafe impl<Q: Send, A: Send> Sync for Exchange<Q, A> {}
// SAFETY: it owns the values in its cells, which are `Send`.
unsafe impl<Q: Send, A: Send> Send for Exchange<Q, A> {}

/// The data of one side.
#[repr(align(128))]
pub(super) struct End {
    claimed: AtomicBool,
    pub(super) holder: Holder,
    pub(super) spin: Spin,
    /// The call that gives the end up when its holder ends.
    end_call: insula_sync::Mutex<Option<EndCall>>,
}

/// The right to act for a side, until it is dropped.
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

    /// Replaces the call at the end of the holder, and cancels the one before.
    fn set_end_call(&self, call: Option<EndCall>) {
        let before = std::mem::replace(&mut *self.end_call.lock(), call);
        if let Some(before) = before {
            before.cancel();
        }
    }

    /// Claims this side. Returns `None` while another thread acts for it.
    #[inline]
    pub(super) fn claim(&self) -> Option<Claim<'_>> {
        // Acquire pairs with the Release in the drop of the claim before. `then`, as the claim must
        // not be constructed after a lost swap: its drop would free the place of another thread.
        (!self.claimed.swap(true, Ordering::Acquire)).then(|| Claim(&self.claimed))
    }

    fn is_claimed(&self) -> bool {
        // Relaxed: only for a snapshot, in `Exchange::phase`.
        self.claimed.load(Ordering::Relaxed)
    }
}

impl Drop for Claim<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release pairs with the Acquire in `End::claim`: the next user of the end sees its memory
        // and its cells as this one left them.
        self.0.store(false, Ordering::Release);
    }
}

/// The outcome of giving a request up.
#[derive(Debug)]
pub(crate) enum GaveUp<Q, A> {
    /// The responder never had the request.
    TookBack(Q),
    /// The responder has the request; its response will be given back to it.
    Left,
    /// The response came first; `None` if the responder declined.
    Answered(Option<A>),
}

/// The progress of a request.
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
        // Acquire pairs with the Release in `step` and in `finish`.
        self.request.word.load(Ordering::Acquire)
    }

    /// Changes the word from `word` to `next`. If the word is a different one, returns that.
    #[inline]
    fn step(&self, word: u32, next: u32) -> Result<(), u32> {
        // AcqRel: Release hands over the cell that the step publishes, and pairs with the Acquire
        // of the step, by the other side, that takes it.
        self.request
            .word
            .compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }

    /// Replaces the contents of the request cell that `word` selects.
    #[inline]
    fn set_request(&self, word: u32, request: Option<Q>) -> Option<Q> {
        let cell = &self.request.cells[usize::from(word & OTHER != 0)];
        // SAFETY: each caller has the claim of the side to which the table of states gives the
        // cell, so no other thread touches it.
        cell.with_mut(|cell| std::mem::replace(unsafe { &mut *cell }, request))
    }

    /// Makes a request. Only with the requester's claim.
    #[inline]
    pub(crate) fn post(&self, request: Q) -> Result<(), Undelivered<Q>> {
        // Relaxed: the claim orders all accesses. A remembered word needs no Acquire: this side has
        // acquired the count of the last answer, before which the responder left the request cell.
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
                // `ABANDONED`: in the other states an earlier request still has the claim.
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
        // The word as the next request finds it, unless this one is given up, which forgets it.
        self.remember(with_state(word, ANSWERED));
        self.seats.responder.unpark();
        Ok(())
    }

    /// Stores the word for the next request.
    fn remember(&self, word: u32) {
        // Relaxed: the claim orders all accesses.
        self.memory.word.store(word, Ordering::Relaxed);
    }

    /// Returns whether the wait of the requester has been ended.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        // Acquire pairs with the Release in `answer` and in `finish`.
        let answers = self.response.answers.load(Ordering::Acquire);
        // Relaxed: the claim orders it, and for a search the lock of the graph, which the requester
        // acquired after its last write.
        answers != self.memory.answers.load(Ordering::Relaxed)
    }

    /// Takes the response if one came, or returns why there will be none.
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

    /// Takes the response to the last request, if it was answered (`Some(Some)`) or declined
    /// (`Some(None)`). Does so once, and not after another request was made.
    #[inline]
    fn take_answer(&self) -> Option<Option<A>> {
        // Relaxed here and in the store: the claim orders all accesses.
        let before = self.memory.answers.load(Ordering::Relaxed);
        // Acquire pairs with the Release in `answer`, and makes the response visible.
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
        // SAFETY: the answer was counted, so the cell is the requester's, whose claim the caller
        // has. The count is remembered, so the value is read, and so moved out, once.
        let response = self.response.cell.with(|cell| unsafe { cell.read() });
        Some(response.map(ManuallyDrop::into_inner))
    }

    /// Gives the request up, unless it was answered. Only with the requester's claim.
    pub(crate) fn give_up(&self) -> GaveUp<Q, A> {
        // From here on the word may be left in any state.
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

    /// Takes the request, if there is one, or returns why there will be none. Only with the
    /// responder's claim.
    #[inline]
    pub(crate) fn take(&self) -> Option<Result<Q, MailboxError>> {
        let mut word = self.word();
        loop {
            if word & STATE != REQUEST || word & CLOSED != 0 {
                // A responder that is gone may still be called: after a panic in its message loop.
                let broken = (word & RESPONDER_GONE != 0).then_some(MailboxError::IllegalState);
                return over(word, REQUESTER_GONE).or(broken).map(Err);
            }
            match self.step(word, with_state(word, TAKEN)) {
                Ok(()) => return self.set_request(word, None).map(Ok),
                Err(now) => word = now,
            }
        }
    }

    /// Returns whether the responder has a request to which it has not responded.
    #[inline]
    pub(super) fn owes(&self) -> bool {
        matches!(self.word() & STATE, TAKEN | ABANDONED | BEHIND)
    }

    /// Responds, or declines if `response` is `None`. Only with the responder's claim.
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
            // SAFETY: the cell is the responder's from the step to the count, and the caller has
            // the responder's claim. The value that is overwritten was moved out.
            .with_mut(|cell| unsafe { cell.write(response) });
        // Release pairs with the Acquire in `is_settled` and in `take_answer`.
        self.response.answers.fetch_add(ANSWER, Ordering::Release);
        self.seats.requester.unpark();
        Ok(())
    }

    /// Closes the rendezvous for both sides.
    pub(crate) fn close(&self) {
        self.finish(CLOSED);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word() & CLOSED != 0
    }

    /// Marks an end as gone.
    pub(crate) fn leave(&self, side: Side) {
        self.finish(match side {
            Side::Requester => REQUESTER_GONE,
            Side::Responder => RESPONDER_GONE,
        });
    }

    /// Sets a bit of the word that stays, and wakes both sides.
    fn finish(&self, bit: u32) {
        // AcqRel, as in `step`.
        self.request.word.fetch_or(bit, Ordering::AcqRel);
        if bit != REQUESTER_GONE {
            // Only the requester looks at the count. After the word, so that a requester that sees
            // this bit finds the reason there: Release pairs with the Acquire in `is_settled`.
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
            // The word is the same after the response was taken, but then the requester has
            // dropped its claim.
            ANSWERED if self.requester.is_claimed() => Phase::Response,
            _ => Phase::None,
        }
    }

    /// Returns whether the requester waits for a response, and whether the responder waits for a request.
    pub(super) fn waiting(&self) -> (bool, bool) {
        let requester = self.requester.is_claimed() && self.phase() != Phase::None;
        // The responder holds its claim also for the moment of a response.
        let responder = self.responder.is_claimed() && self.phase() == Phase::None;
        (requester, responder)
    }
}

#[inline]
fn with_state(word: u32, state: u32) -> u32 {
    (word & !STATE) | state
}

/// Returns why a side need not wait for its peer any more. `gone` is the bit of the peer.
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
    /// Makes `party` the holder of an end: the end is gone when the party has ended, unless another
    /// party has used it meanwhile.
    pub(super) fn attach(self: &Arc<Self>, side: Side, party: &Party) {
        let id = party.id;
        // First, since the call may come at once, and compares the holder.
        self.end(side).holder.set(id);
        // Weak, so that the call does not keep the exchange alive.
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

    /// Gives an end up whose object is dropped.
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
                // A responder that has just taken a request does not wait any more, though its edge
                // is still in the graph.
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
