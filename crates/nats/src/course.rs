//! What one end of a link knows of the messages in both directions: a state machine without a clock,
//! a lock or a connection.
//!
//! # Numbers
//! The parts of one direction are numbered from 0. NATS delivers the messages of one connection to one
//! subject in their order, but at most once: what a slow or restarted server drops is gone. So a part
//! has to have the number that is expected, and any other message has to name the one that comes next.
//! What is missing at the end is found by the next beat.
//!
//! # Frames
//! A frame that is longer than a message may be is cut into parts. Each says how many follow, and the
//! next one has to say one fewer.
//!
//! # The window
//! At most [`WINDOW`] parts are on their way: sent, and not [taken](Course::take). An end takes the
//! parts of a frame once it is done with the frame, and those of one that is not complete at once, so
//! that a frame may be longer than the window. What was taken is told with each message. So neither end
//! keeps more of the other than a window and one frame, and the server is never sent more than that at
//! once, which it would have to drop.
//!
//! A caller that takes no answers can have a node keep those of the calls that are open, and no more:
//! while [`MOST_WAITING`] frames of a node wait for room in the window, it does not say that it has taken
//! anything, so that the window of the caller closes too. A caller always says so, since what waits on its
//! side is bounded by its own calls; so they never wait for each other.

use std::collections::VecDeque;

use crate::message::{HEAD, Kind, Message};

/// The parts of one direction that may be on their way.
pub(crate) const WINDOW: u64 = 32;

/// The most bytes of a message, where the server allows more: a window of them is 2 MiB, of which 32
/// links at once are what a server keeps for one connection by default (`max_pending`).
pub(crate) const MOST_MESSAGE: usize = 1 << 16;

/// The frames of a node that may wait for room in the window while it takes those of the caller.
pub(crate) const MOST_WAITING: usize = 32;

/// The taken parts of which the other end is told at once.
const TOLD_AT_ONCE: u64 = WINDOW / 4;

/// The messages of a link, in both directions.
#[derive(Debug)]
pub(crate) struct Course {
    /// The most bytes of a frame of the other end.
    most: usize,
    /// The number of the next part of this end.
    next: u64,
    /// The parts of this end that the other one has taken.
    taken: u64,
    /// The frame of which parts are to be sent.
    cut: Option<Cut>,
    /// The number of the next part of the other end.
    expected: u64,
    /// The parts of the other end that this one has taken, and those of which it has told that.
    done: u64,
    told: u64,
    /// The parts of a frame that is not complete, and how many follow.
    begun: Vec<u8>,
    left: Option<u32>,
    /// The complete frames that were not taken: the number of the part after each.
    frames: VecDeque<u64>,
    /// Those of them with which this end is done.
    finished: usize,
}

/// A frame, and how much of it was sent.
#[derive(Debug)]
struct Cut {
    frame: Vec<u8>,
    at: usize,
    /// The most bytes of a part.
    most: usize,
}

/// What a message of the other end was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A beat, or a part of a frame that is not complete.
    Nothing,
    /// A frame. It has to be [taken](Course::take).
    Frame(Vec<u8>),
    /// The node lets go of the worker soon.
    Going,
    /// The other end has ended the link, and nothing is missing.
    End(String),
    /// The other end has ended the link.
    Break(String),
}

impl Course {
    /// Makes the course of an end whose other one sends frames of at most `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            next: 0,
            taken: 0,
            cut: None,
            expected: 0,
            done: 0,
            told: 0,
            begun: Vec::new(),
            left: None,
            frames: VecDeque::new(),
            finished: 0,
        }
    }

    /// Returns the next part to send, if there is room for one in the window. `next` gives the next
    /// frame, whose messages have at most `most` bytes: all of them, since each part has said how many
    /// follow.
    pub(crate) fn part(
        &mut self,
        most: usize,
        next: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        if self.is_full() {
            return None;
        }
        if self.cut.is_none() {
            let most = most.min(MOST_MESSAGE).saturating_sub(HEAD).max(1);
            self.cut = next().map(|frame| Cut { frame, at: 0, most });
        }
        let Cut { frame, at, most } = self.cut.as_mut()?;
        let rest = &frame[*at..];
        let body = &rest[..rest.len().min(*most)];
        let left = (rest.len() - body.len()).div_ceil(*most);
        let message = Message {
            kind: Kind::Part,
            left: u32::try_from(left).unwrap_or(u32::MAX),
            number: self.next,
            taken: self.done,
            body,
        };
        let bytes = message.write();
        *at += body.len();
        if left == 0 {
            self.cut = None;
        }
        self.next += 1;
        self.told = self.done;
        Some(bytes)
    }

    /// Returns whether the window has no room.
    pub(crate) fn is_full(&self) -> bool {
        self.next - self.taken >= WINDOW
    }

    /// Returns whether a frame is partly sent.
    pub(crate) fn is_cutting(&self) -> bool {
        self.cut.is_some()
    }

    /// Returns a message of another kind.
    pub(crate) fn sign(&mut self, kind: Kind, left: u32, body: &[u8]) -> Vec<u8> {
        self.told = self.done;
        let (number, taken) = (self.next, self.done);
        let message = Message {
            kind,
            left,
            number,
            taken,
            body,
        };
        message.write()
    }

    /// Returns whether the other end should be told at once of what was taken.
    pub(crate) fn owes_beat(&self) -> bool {
        self.done - self.told >= TOLD_AT_ONCE
    }

    /// Says that this end is done with so many more of the frames that it was given, in their order.
    /// They are taken once no more than [`MOST_WAITING`] of its own frames are `waiting`.
    pub(crate) fn take(&mut self, frames: usize, waiting: usize) {
        self.finished += frames;
        if waiting > MOST_WAITING {
            return;
        }
        for _ in 0..std::mem::take(&mut self.finished) {
            let Some(after) = self.frames.pop_front() else {
                break;
            };
            self.done = after;
        }
        if self.frames.is_empty() {
            self.done = self.expected;
        }
    }

    /// Takes a message of the other end.
    ///
    /// # Errors
    /// Says in words what is wrong with it. The link is lost.
    pub(crate) fn receive(&mut self, message: Message<'_>) -> Result<Incoming, &'static str> {
        if message.number != self.expected {
            return Err(match message.number > self.expected {
                true => "a message is missing",
                false => "a message has come twice",
            });
        }
        if message.taken < self.taken || message.taken > self.next {
            return Err("the other side has taken what was not sent");
        }
        self.taken = message.taken;
        Ok(match message.kind {
            Kind::Part => return self.put(message),
            Kind::Beat => Incoming::Nothing,
            Kind::Going => Incoming::Going,
            Kind::End if self.left.is_none() => Incoming::End(message.reason()),
            Kind::End | Kind::Break => Incoming::Break(message.reason()),
            Kind::Welcome | Kind::Full => return Err("the other side has opened the link twice"),
        })
    }

    fn put(&mut self, message: Message<'_>) -> Result<Incoming, &'static str> {
        if self.expected - self.told >= WINDOW {
            return Err("the other side has sent more than its window");
        }
        if self.left.is_some_and(|left| left != message.left) {
            return Err("a part of a frame is out of place");
        }
        if self.begun.len() + message.body.len() > self.most {
            return Err("a frame of the other side is too large");
        }
        if message.body.is_empty() {
            return Err("a part of a frame is empty");
        }
        self.expected += 1;
        self.begun.extend_from_slice(message.body);
        if let Some(left) = message.left.checked_sub(1) {
            self.left = Some(left);
            if self.frames.is_empty() {
                self.done = self.expected;
            }
            return Ok(Incoming::Nothing);
        }
        self.left = None;
        self.frames.push_back(self.expected);
        Ok(Incoming::Frame(std::mem::take(&mut self.begun)))
    }
}

#[cfg(test)]
mod tests;
