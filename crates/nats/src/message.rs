//! The bytes of one message to an inbox.
//!
//! A head of fixed length, with numbers in little-endian, and a body:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the version of this protocol |
//! | 1 | the kind |
//! | 4 | of a part: how many parts of its frame follow; of a welcome: the silence of the node in milliseconds |
//! | 8 | of a part: its number; of the others: the number of the next part |
//! | 8 | how many parts of the other side its sender is done with |

use std::fmt;
use std::time::Duration;

use insula_rpc::wire::{Frame, Hello};

/// The version of the protocol, in each message and in each subject.
pub(crate) const VERSION: u8 = 1;

/// The bytes in front of a body.
pub(crate) const HEAD: usize = 22;

/// The most bytes of a reason.
const TEXT: usize = 1 << 10;

/// The most bytes of a request for a link.
const MOST_OPENING: usize = 1 << 12;

/// One message of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: Kind,
    pub(crate) left: u32,
    pub(crate) number: u64,
    pub(crate) taken: u64,
    pub(crate) body: &'a [u8],
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The node has a worker for the link. The first message of a node. The body is the most bytes of
    /// a value that it takes.
    Welcome = 1,
    /// The node has none.
    Full = 2,
    /// A part of a frame.
    Part = 3,
    /// The sender is alive.
    Beat = 4,
    /// The node lets go of the worker soon, and wants no more calls.
    Going = 5,
    /// Nothing follows, and all that the sender had to say has been said. The body is the reason.
    End = 6,
    /// Nothing follows, and something may be missing. The body is the reason.
    Break = 7,
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl<'a> Message<'a> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(HEAD + self.body.len());
        to.extend_from_slice(&[VERSION, self.kind as u8]);
        to.extend_from_slice(&self.left.to_le_bytes());
        to.extend_from_slice(&self.number.to_le_bytes());
        to.extend_from_slice(&self.taken.to_le_bytes());
        to.extend_from_slice(self.body);
        to
    }

    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader(bytes);
        let ([version], [kind]) = (reader.take()?, reader.take()?);
        if version != VERSION {
            return Err(Unreadable);
        }
        Ok(Self {
            kind: Kind::of(kind)?,
            left: u32::from_le_bytes(reader.take()?),
            number: u64::from_le_bytes(reader.take()?),
            taken: u64::from_le_bytes(reader.take()?),
            body: reader.0,
        })
    }

    /// Returns the reason that the body is, for a person: what is no text is replaced, and the end of
    /// a long one is left out.
    pub(crate) fn reason(&self) -> String {
        let text = &self.body[..self.body.len().min(TEXT)];
        let text = String::from_utf8_lossy(text);
        text.chars().filter(|it| !it.is_control()).collect()
    }
}

impl Kind {
    fn of(byte: u8) -> Result<Self, Unreadable> {
        Ok(match byte {
            1 => Self::Welcome,
            2 => Self::Full,
            3 => Self::Part,
            4 => Self::Beat,
            5 => Self::Going,
            6 => Self::End,
            7 => Self::Break,
            _ => return Err(Unreadable),
        })
    }
}

/// The beginning of a text, as the body of a message that ends a link.
pub(crate) fn reason(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(TEXT)]
}

/// A request for a link: what a worker wants of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    /// The time without a word after which the caller gives the link up.
    pub(crate) silence: Duration,
    /// The calls that the worker runs at once.
    pub(crate) places: u32,
    /// The time that a cancelled handler may go on.
    pub(crate) grace: Duration,
    /// The hello of the caller, as the frame that it is.
    pub(crate) hello: Vec<u8>,
    /// The most bytes of a value that the caller takes, which its hello says.
    pub(crate) most: u64,
}

impl Opening {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut to = vec![VERSION];
        to.extend_from_slice(&millis(self.silence).to_le_bytes());
        to.extend_from_slice(&self.places.to_le_bytes());
        to.extend_from_slice(&millis(self.grace).to_le_bytes());
        to.extend_from_slice(&self.hello);
        to
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader(bytes);
        if bytes.len() > MOST_OPENING || reader.take()? != [VERSION] {
            return Err(Unreadable);
        }
        let mut number = || reader.take().map(u32::from_le_bytes);
        let (silence, places, grace) = (number()?, number()?, number()?);
        let hello = reader.0.to_vec();
        // Whatever it is, it is compared with the node's own where it is answered.
        let most = read_hello(&hello)?.most;
        Ok(Self {
            most,
            silence: Duration::from_millis(silence.into()),
            places,
            grace: Duration::from_millis(grace.into()),
            hello,
        })
    }
}

pub(crate) fn write_hello(hello: Hello) -> Vec<u8> {
    Frame::Hello(hello).write().bytes
}

pub(crate) fn read_hello(bytes: &[u8]) -> Result<Hello, Unreadable> {
    if bytes.len() > MOST_OPENING {
        return Err(Unreadable);
    }
    match Frame::read(bytes.to_vec().into(), 0) {
        Ok(Frame::Hello(hello)) => Ok(hello),
        _ => Err(Unreadable),
    }
}

/// The body of a welcome: the most bytes of a value that the node takes.
pub(crate) fn write_most(most: usize) -> [u8; 8] {
    (most as u64).to_le_bytes()
}

pub(crate) fn read_most(body: &[u8]) -> Option<u64> {
    body.try_into().map(u64::from_le_bytes).ok()
}

/// Returns the most bytes of a value that both ends of a link take.
pub(crate) fn least(ours: usize, theirs: u64) -> usize {
    usize::try_from(theirs).map_or(ours, |theirs| theirs.min(ours))
}

/// Returns a time in milliseconds, as far as they have room.
pub(crate) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Bytes that are not read yet.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*first)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message that cannot be read")
    }
}

#[cfg(test)]
mod tests;
