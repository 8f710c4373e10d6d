//! Values as bytes, within limits.

use std::error::Error;
use std::fmt;

use insula_memory::{Segment, read_beside, write_beside};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decode::{decode_all, decode_some};
use crate::error::{Part, ProtocolError};
use crate::guard::catch;
use crate::payload::Traffic;

/// The most bytes of a message, unless another limit is set.
pub const MOST_BYTES: usize = 16 << 20;

/// A value, or a message with one, as bytes and the segments that go beside them.
///
/// A [`Segment`] of the value is one of its bytes, unless the way to the other program carries
/// segments: then it is handed over as it is, and the bytes have its place in the list.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The segments that the bytes refer to.
    pub segments: Vec<Segment>,
}

/// What a message may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    pub(super) bytes: usize,
    pub(super) segments: usize,
    pub(super) segment_bytes: u64,
}

impl Limits {
    /// At most so many bytes, and no segments: they are copied.
    pub fn bytes(bytes: usize) -> Self {
        Self {
            bytes,
            segments: 0,
            segment_bytes: 0,
        }
    }

    /// Has so many segments of a message, with so many bytes together, go beside its own bytes, which
    /// the way to the other program must be able to carry. What is beyond that is copied.
    pub fn segments(self, segments: usize, bytes: u64) -> Self {
        Self {
            segments,
            segment_bytes: bytes,
            ..self
        }
    }

    /// Returns the most bytes of a message.
    pub fn most_bytes(self) -> usize {
        self.bytes
    }
}

impl From<usize> for Limits {
    fn from(bytes: usize) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Self {
        let segments = Vec::new();
        Self { bytes, segments }
    }
}

impl Encoded {
    /// What was written. The bytes of segments were not, and are among those of the values.
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            bytes_moved: 0,
            bytes_copied: self.bytes.len() as u64,
        }
    }
}

/// A value that crosses a wire: each that can be serialized, and deserialized from bytes that are
/// dropped afterwards.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross a wire",
    label = "it is not both `serde::Serialize` and `serde::Deserialize`",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` above the type, or take `wire` \
            out of the options of the contract",
    note = "a method that never fails has the error `wire::Never` and not `Infallible`"
)]
pub trait Crosses: Serialize + DeserializeOwned + Send + 'static {}

// Without the attribute the compiler would report each trait that is missing, and neither says what
// to write.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Crosses for T {}

/// Why a value could not be written as bytes, or read from them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// It has more bytes than a message may have.
    TooLarge {
        /// The most bytes of a message.
        most: usize,
    },
    /// Its `Serialize` refused to write it.
    Unencodable(String),
    /// The bytes are not those of such a value.
    Undecodable(String),
}

/// Writes a value as at most [`MOST_BYTES`] bytes, as a call does that crosses a wire.
///
/// A test can keep the bytes of a sample of each type of a contract. It fails when a field is added
/// to the type, moved or removed, which the [schema](super::Schema) of a contract does not show:
///
/// ```
/// use insula_rpc::wire;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Reading {
///     station: String,
///     degrees: i16,
/// }
///
/// # fn main() -> Result<(), wire::CodecError> {
/// let sample = Reading { station: "K2".into(), degrees: -40 };
/// assert_eq!(wire::encode(&sample)?, [2, b'K', b'2', 79]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// It has more bytes, or its `Serialize` fails or panics. There is no limit on how deep it is nested,
/// as there is for [`decode`]: a value that is nested so deep that serde does not get by with the
/// stack ends the process, as its drop would.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut encoded = Encoded::default();
    write(value, &mut encoded, MOST_BYTES.into())?;
    Ok(encoded.bytes)
}

/// Reads a value from bytes that [`encode`] has written, of which there are at most [`MOST_BYTES`].
///
/// The bytes need not be trusted: a length that is larger than what follows allocates nothing, and
/// values are nested at most 128 levels deep.
///
/// # Errors
/// There are more bytes than allowed or than the value has, they are those of another type, or its
/// `Deserialize` fails or panics.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    read_bytes(bytes, MOST_BYTES)
}

/// Appends a value to a message. Serializing is the user's code, so no lock is held.
pub(super) fn write<T: Serialize + ?Sized>(
    value: &T,
    to: &mut Encoded,
    limits: Limits,
) -> Result<(), CodecError> {
    let Encoded { bytes, segments } = to;
    let most = limits.bytes;
    let write = || postcard::serialize_with_flavor(value, Bounded { bytes, most });
    let room = (limits.segments, limits.segment_bytes);
    let written = catch(|| write_beside(segments, room, write));
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(postcard::Error::SerializeBufferFull)) => Err(CodecError::TooLarge { most }),
        Ok(Err(why)) => Err(CodecError::Unencodable(told(&why).to_owned())),
        Err(panic) => Err(CodecError::Unencodable(format!(
            "it panicked: {}",
            panic.message
        ))),
    }
}

/// Appends a value of this library, which has no segments.
pub(super) fn append<T: Serialize + ?Sized>(
    value: &T,
    to: &mut Vec<u8>,
    most: usize,
) -> Result<(), CodecError> {
    let mut encoded = Encoded::from(std::mem::take(to));
    let written = write(value, &mut encoded, most.into());
    *to = encoded.bytes;
    written
}

/// Reads a value that is a whole message.
pub(super) fn read<T: DeserializeOwned>(from: &Encoded, limits: Limits) -> Result<T, CodecError> {
    let read = || read_bytes(&from.bytes, limits.bytes);
    match &*from.segments {
        [] => read(),
        segments => read_beside(segments, read),
    }
}

/// As [`read`], of a message without segments.
pub(super) fn read_bytes<T: DeserializeOwned>(bytes: &[u8], most: usize) -> Result<T, CodecError> {
    check(bytes, most)?;
    contained(|| decode_all(bytes).map_err(|why| CodecError::Undecodable(why.to_string())))
}

/// Reads a value at the beginning of a message. Returns it with what follows.
pub(super) fn read_some<T: DeserializeOwned>(
    bytes: &[u8],
    most: usize,
) -> Result<(T, &[u8]), CodecError> {
    check(bytes, most)?;
    contained(|| decode_some(bytes).map_err(|why| CodecError::Undecodable(why.to_string())))
}

/// Before anything is looked at.
fn check(bytes: &[u8], most: usize) -> Result<(), CodecError> {
    if bytes.len() > most {
        return Err(CodecError::TooLarge { most });
    }
    Ok(())
}

fn contained<T>(decode: impl FnOnce() -> Result<T, CodecError>) -> Result<T, CodecError> {
    catch(decode).unwrap_or_else(|panic| {
        let why = format!("it panicked: {}", panic.message);
        Err(CodecError::Undecodable(why))
    })
}

/// Returns what is wrong in the words of this library: those of the crate are for its own users.
fn told(why: &postcard::Error) -> &'static str {
    match why {
        postcard::Error::SerializeSeqLengthUnknown => {
            "the length of a sequence or a map is not known before it"
        }
        postcard::Error::WontImplement | postcard::Error::NotYetImplemented => {
            "it has a form that the encoding does not know"
        }
        _ => "its `Serialize` has failed",
    }
}

/// Bytes that grow up to a limit.
struct Bounded<'a> {
    bytes: &'a mut Vec<u8>,
    most: usize,
}

impl Flavor for Bounded<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, more: &[u8]) -> postcard::Result<()> {
        if more.len() > self.most.saturating_sub(self.bytes.len()) {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl CodecError {
    /// Returns the error of the call whose part this is.
    pub(super) fn of(self, method: &str, part: Part) -> Box<ProtocolError> {
        let method = method.to_owned();
        Box::new(match self {
            Self::TooLarge { most } => ProtocolError::TooLarge { method, part, most },
            Self::Unencodable(why) => ProtocolError::Unencodable { method, part, why },
            Self::Undecodable(why) => ProtocolError::Undecodable { method, part, why },
        })
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { most } => write!(f, "the value has more than {most} bytes"),
            Self::Unencodable(why) => write!(f, "the value cannot be encoded: {why}"),
            Self::Undecodable(why) => write!(f, "the value cannot be decoded: {why}"),
        }
    }
}

impl Error for CodecError {}
