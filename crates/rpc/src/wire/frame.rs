//! Frames: what two programs say to each other over a link, as bytes.
//!
//! A frame is one byte for its kind, eight for the number of its call (little-endian; zero where
//! there is none), and a body. The bodies of messages that carry a value of the user are that value
//! as it was encoded; the others are encoded as values are. How the end of a frame is found is the
//! matter of the medium.

use std::error::Error;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codec::{CodecError, Encoded, Limits, append, read_bytes, read_some};
use super::message::{CancelledByForm, ProtocolErrorForm, ToCallee, ToCaller};
use super::method::WireContract;
use crate::envelope::{Metadata, Progress};
use crate::error::{CancelledBy, ProtocolError};

/// One thing that one side of a link says to the other.
#[derive(Debug)]
#[non_exhaustive]
pub enum Frame {
    /// The first frame of each side.
    Hello(Hello),
    /// The answer to a hello that is not accepted, or of a service that could not be built: the
    /// reason. The last frame.
    Refused(String),
    /// A call, as [`forward`](super::forward) has written it.
    Start {
        /// The number of the call.
        call: u64,
        /// Its first message.
        message: Encoded,
    },
    /// The handler of a call is about to run.
    Started {
        /// The number of the call.
        call: u64,
    },
    /// A message of the caller's side.
    ToCallee {
        /// The number of the call.
        call: u64,
        /// The message.
        message: ToCallee,
    },
    /// A message of the callee's side.
    ToCaller {
        /// The number of the call.
        call: u64,
        /// The message.
        message: ToCaller,
    },
    /// A question whether the other side is alive.
    Ping(u64),
    /// The answer to it, with its number.
    Pong(u64),
    /// No more calls follow; those that are here come to their ends.
    GoAway,
}

/// What a side says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the frames.
    pub protocol: u32,
    /// The name of the contract.
    pub contract: String,
    /// Its version.
    pub version: u32,
    /// The [hash of its schema](WireContract::SCHEMA_HASH).
    pub schema: u64,
    /// The most bytes of a message.
    pub most: u64,
}

/// The version of the frames that this library writes.
const PROTOCOL: u32 = 1;

/// The most bytes of a frame without a value of the user.
const SMALL: usize = 1 << 18;

/// The most bytes of a text of the user in such a frame.
const TEXT: usize = 1 << 14;

/// The bytes in front of a body.
const HEAD: usize = 9;

impl Hello {
    /// The hello of a side that speaks of the contract `C`.
    pub fn of<C: WireContract>(most: usize) -> Self {
        Self {
            protocol: PROTOCOL,
            contract: C::NAME.to_owned(),
            version: C::VERSION,
            schema: C::SCHEMA_HASH,
            most: most as u64,
        }
    }

    /// Compares with what the other side says.
    ///
    /// # Errors
    /// Says what is different, for a person.
    pub fn accepts(&self, other: &Self) -> Result<(), String> {
        if self.protocol != other.protocol {
            let (ours, theirs) = (self.protocol, other.protocol);
            return Err(format!(
                "this side speaks version {ours}, the other {theirs}"
            ));
        }
        if self.contract != other.contract {
            let (ours, theirs) = (&self.contract, &other.contract);
            return Err(format!(
                "this side has the contract {ours}, the other {theirs}"
            ));
        }
        if self.version != other.version {
            let (ours, theirs) = (self.version, other.version);
            return Err(format!(
                "this side has version {ours} of {}, the other {theirs}",
                self.contract
            ));
        }
        if self.schema != other.schema {
            return Err(format!(
                "the two sides have different types in version {} of {}",
                self.version, self.contract
            ));
        }
        Ok(())
    }
}

/// Bytes that are no frame, or not one that may come here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// There are more bytes than a frame may have.
    TooLarge {
        /// The bytes of the frame.
        len: usize,
        /// The most that are allowed.
        most: usize,
    },
    /// The bytes are those of no frame.
    Invalid(String),
}

/// The kinds of frames.
mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const REFUSED: u8 = 2;
    pub(super) const START: u8 = 3;
    pub(super) const STARTED: u8 = 4;
    pub(super) const PING: u8 = 5;
    pub(super) const PONG: u8 = 6;
    pub(super) const GO_AWAY: u8 = 7;
    pub(super) const SENT_ITEM: u8 = 16;
    pub(super) const SENT_END: u8 = 17;
    pub(super) const CONSUMED: u8 = 18;
    pub(super) const STOP: u8 = 19;
    pub(super) const CANCEL: u8 = 20;
    pub(super) const REFUSE: u8 = 32;
    pub(super) const PROGRESS: u8 = 33;
    pub(super) const READ: u8 = 34;
    pub(super) const CLOSED: u8 = 35;
    pub(super) const ANSWER: u8 = 36;
    pub(super) const TRAILED_ANSWER: u8 = 37;
    pub(super) const ITEM: u8 = 38;
    pub(super) const END: u8 = 39;
}

#[derive(Serialize, Deserialize)]
struct By(#[serde(with = "CancelledByForm")] CancelledBy);

#[derive(Serialize, Deserialize)]
struct Why(#[serde(with = "ProtocolErrorForm")] ProtocolError);

impl Frame {
    /// Writes the frame.
    #[must_use]
    pub fn write(self) -> Encoded {
        let mut frame = Encoded::default();
        let to = &mut frame;
        match self {
            Self::Hello(hello) => put(&mut to.bytes, kind::HELLO, 0, &hello),
            Self::Refused(why) => put(&mut to.bytes, kind::REFUSED, 0, cut(&why)),
            Self::Start { call, message } => put_encoded(to, kind::START, call, message),
            Self::Started { call } => put_bytes(&mut to.bytes, kind::STARTED, call, &[]),
            Self::ToCallee { call, message } => write_to_callee(message, call, to),
            Self::ToCaller { call, message } => write_to_caller(message, call, to),
            Self::Ping(number) => put_bytes(&mut to.bytes, kind::PING, number, &[]),
            Self::Pong(number) => put_bytes(&mut to.bytes, kind::PONG, number, &[]),
            Self::GoAway => put_bytes(&mut to.bytes, kind::GO_AWAY, 0, &[]),
        }
        frame
    }

    /// Reads a frame whose values of the user are within these limits.
    ///
    /// # Errors
    /// The bytes are those of no frame. Whatever they are, no more memory is allocated than they
    /// have themselves.
    pub fn read(frame: Encoded, limits: impl Into<Limits>) -> Result<Self, FrameError> {
        let limits = limits.into();
        let most = limits.bytes;
        let Encoded { bytes, segments } = frame;
        let beside: u64 = segments.iter().map(|it| it.len() as u64).sum();
        if segments.len() > limits.segments || beside > limits.segment_bytes {
            let count = segments.len();
            return Err(invalid(&format!(
                "{count} segments of {beside} bytes are more than allowed"
            )));
        }
        let (head, body) = bytes
            .split_first_chunk::<HEAD>()
            .ok_or_else(|| invalid("it has no head"))?;
        let [kind, number @ ..] = *head;
        let call = u64::from_le_bytes(number);
        let limit = match kind {
            kind::START | kind::SENT_ITEM | kind::ANSWER | kind::ITEM | kind::END => most,
            kind::TRAILED_ANSWER => most.saturating_add(SMALL),
            _ => SMALL,
        };
        if body.len() > limit {
            let len = body.len();
            return Err(FrameError::TooLarge { len, most: limit });
        }
        let encoded = |body: &[u8]| Encoded {
            bytes: body.to_vec(),
            segments,
        };
        Ok(match kind {
            kind::HELLO => Self::Hello(get(body)?),
            kind::REFUSED => Self::Refused(get(body)?),
            kind::START => Self::Start {
                call,
                message: encoded(body),
            },
            kind::STARTED => Self::Started { call },
            kind::PING => Self::Ping(call),
            kind::PONG => Self::Pong(call),
            kind::GO_AWAY => Self::GoAway,
            16..=31 => Self::ToCallee {
                call,
                message: read_to_callee(kind, body, encoded)?,
            },
            _ => Self::ToCaller {
                call,
                message: read_to_caller(kind, body, encoded)?,
            },
        })
    }
}

fn write_to_callee(message: ToCallee, call: u64, to: &mut Encoded) {
    let bytes = &mut to.bytes;
    match message {
        ToCallee::Item(item) => put_encoded(to, kind::SENT_ITEM, call, item),
        ToCallee::End(end) => {
            let end = end.as_ref().map_err(|reason| cut(reason));
            put(bytes, kind::SENT_END, call, &end);
        }
        ToCallee::Credit(items) => put(bytes, kind::CONSUMED, call, &items),
        ToCallee::Stop(by) => put(bytes, kind::STOP, call, &By(by)),
        ToCallee::Cancel(by) => put(bytes, kind::CANCEL, call, &By(by)),
    }
}

fn read_to_callee(
    kind: u8,
    body: &[u8],
    encoded: impl FnOnce(&[u8]) -> Encoded,
) -> Result<ToCallee, FrameError> {
    Ok(match kind {
        kind::SENT_ITEM => ToCallee::Item(encoded(body)),
        kind::SENT_END => ToCallee::End(get(body)?),
        kind::CONSUMED => ToCallee::Credit(get(body)?),
        kind::STOP => ToCallee::Stop(get::<By>(body)?.0),
        kind::CANCEL => ToCallee::Cancel(get::<By>(body)?.0),
        other => return Err(unknown(other)),
    })
}

fn write_to_caller(message: ToCaller, call: u64, to: &mut Encoded) {
    let bytes = &mut to.bytes;
    match message {
        ToCaller::Refuse(why) => put(bytes, kind::REFUSE, call, &Why(short(&why))),
        ToCaller::Progress(progress) => {
            let Progress {
                done,
                total,
                message,
            } = progress;
            let message = message.as_deref().map(cut);
            put(bytes, kind::PROGRESS, call, &(done, total, message));
        }
        ToCaller::Credit(items) => put(bytes, kind::READ, call, &items),
        ToCaller::Closed => put_bytes(bytes, kind::CLOSED, call, &[]),
        ToCaller::Answer(answer, None) => put_encoded(to, kind::ANSWER, call, answer),
        ToCaller::Answer(answer, Some(trailing)) => {
            put(bytes, kind::TRAILED_ANSWER, call, &trailing);
            bytes.extend_from_slice(&answer.bytes);
            to.segments = answer.segments;
        }
        ToCaller::Item(item) => put_encoded(to, kind::ITEM, call, item),
        ToCaller::End(end) => put_encoded(to, kind::END, call, end),
    }
}

fn read_to_caller(
    kind: u8,
    body: &[u8],
    encoded: impl FnOnce(&[u8]) -> Encoded,
) -> Result<ToCaller, FrameError> {
    Ok(match kind {
        kind::REFUSE => ToCaller::Refuse(Box::new(get::<Why>(body)?.0)),
        kind::PROGRESS => {
            let (done, total, message) = get(body)?;
            ToCaller::Progress(Progress {
                done,
                total,
                message,
            })
        }
        kind::READ => ToCaller::Credit(get(body)?),
        kind::CLOSED => ToCaller::Closed,
        kind::ANSWER => ToCaller::Answer(encoded(body), None),
        kind::TRAILED_ANSWER => {
            let (trailing, bytes) =
                read_some::<Metadata>(body, body.len()).map_err(|why| invalid(&why.to_string()))?;
            ToCaller::Answer(encoded(bytes), Some(trailing))
        }
        kind::ITEM => ToCaller::Item(encoded(body)),
        kind::END => ToCaller::End(encoded(body)),
        other => return Err(unknown(other)),
    })
}

/// The beginning of a text that may be of any length.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// An error whose reason may be of any length, since the user's code has written it.
fn short(why: &ProtocolError) -> ProtocolError {
    let mut why = why.clone();
    if let ProtocolError::Unencodable { why: text, .. }
    | ProtocolError::Undecodable { why: text, .. } = &mut why
    {
        text.truncate(cut(text).len());
    }
    why
}

fn put_encoded(to: &mut Encoded, kind: u8, call: u64, body: Encoded) {
    put_bytes(&mut to.bytes, kind, call, &body.bytes);
    to.segments = body.segments;
}

fn put_bytes(to: &mut Vec<u8>, kind: u8, call: u64, body: &[u8]) {
    to.reserve(HEAD + body.len());
    to.push(kind);
    to.extend_from_slice(&call.to_le_bytes());
    to.extend_from_slice(body);
}

fn put<T: Serialize + ?Sized>(to: &mut Vec<u8>, kind: u8, call: u64, body: &T) {
    put_bytes(to, kind, call, &[]);
    let most = to.len() + SMALL;
    let begin = to.len();
    match append(body, to, most) {
        Ok(()) => {}
        // The types are this library's, and their texts are cut where they are made. A body that is
        // too large nevertheless is read as damaged, and ends the link.
        Err(
            CodecError::TooLarge { .. } | CodecError::Unencodable(_) | CodecError::Undecodable(_),
        ) => {
            to.truncate(begin);
        }
    }
}

fn get<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    read_bytes(body, SMALL).map_err(|why| invalid(&why.to_string()))
}

fn invalid(why: &str) -> FrameError {
    FrameError::Invalid(why.to_owned())
}

fn unknown(kind: u8) -> FrameError {
    FrameError::Invalid(format!("there is no kind {kind}"))
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { len, most } => {
                write!(f, "a frame of {len} bytes, where {most} are allowed")
            }
            Self::Invalid(why) => write!(f, "not a frame: {why}"),
        }
    }
}

impl Error for FrameError {}
