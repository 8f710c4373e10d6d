//! Companions of a request and an answer: metadata, trace identity, attempts, progress.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::WorkerId;
use crate::error::CancelledBy;
use crate::share::Share;
use crate::span::CallerSpan;

/// Values that a caller sends along with a request. Most calls have none.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) metadata: Metadata,
    pub(crate) trace: Option<TraceContext>,
    /// Attempts before this one.
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: Option<Box<str>>,
    pub(crate) share: Option<Share>,
    /// Of a call that came over a wire.
    pub(crate) lease: Option<Lease>,
    /// The span in which the call was made.
    pub(crate) span: Option<CallerSpan>,
}

/// The right to start a call that has its origin elsewhere.
#[derive(Clone)]
pub(crate) struct Lease(pub(crate) Arc<StartAtOrigin>);

type StartAtOrigin = dyn Fn(WorkerId) -> Result<(), CancelledBy> + Send + Sync;

impl Lease {
    /// Starts the call at its origin: from here on its handler may have run.
    ///
    /// # Errors
    /// The call has ended there, and must not start.
    pub(crate) fn start(&self, worker: WorkerId) -> Result<(), CancelledBy> {
        (self.0)(worker)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// Keys and values that travel along with a call, in both directions, beside its typed request and
/// answer.
///
/// A key consists of lower-case letters, digits, `-`, `_` and `.`. A value is text, or bytes if the
/// key ends with `-bin`. Keys that begin with `insula-` are reserved. There are at most
/// [`Metadata::MOST_ENTRIES`] entries of together [`Metadata::MOST_BYTES`] bytes.
///
/// ```
/// use insula_rpc::Metadata;
///
/// # fn main() -> Result<(), insula_rpc::MetadataError> {
/// let mut metadata = Metadata::new();
/// metadata.insert("tenant", "a")?;
/// metadata.insert_bytes("token-bin", [0, 1, 2])?;
/// assert_eq!(metadata.get("tenant"), Some("a"));
/// assert!(metadata.insert("insula-trace", "mine").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(Box<str>, Value)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

/// Why an entry cannot be part of [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// The key is empty or has a character that a key cannot have.
    Key(String),
    /// The key begins with `insula-`.
    Reserved(String),
    /// Text was given for a key that ends with `-bin`, or bytes for one that does not.
    Kind(String),
    /// There are as many entries or bytes as there can be.
    Full,
}

impl Value {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl Metadata {
    /// The most entries.
    pub const MOST_ENTRIES: usize = 128;
    /// The most bytes of all keys and values together.
    pub const MOST_BYTES: usize = 64 << 10;

    pub(crate) const NONE: Self = Self(Vec::new());

    /// Makes metadata without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, or replaces the one of the same key.
    ///
    /// # Errors
    /// The key is not valid, is reserved or ends with `-bin`, or there is no room.
    pub fn insert(&mut self, key: &str, value: impl Into<String>) -> Result<(), MetadataError> {
        self.add(key, false, Value::Text(value.into().into()))
    }

    /// Adds an entry whose value is bytes, or replaces the one of the same key.
    ///
    /// # Errors
    /// The key is not valid, is reserved or does not end with `-bin`, or there is no room.
    pub fn insert_bytes(
        &mut self,
        key: &str,
        value: impl Into<Vec<u8>>,
    ) -> Result<(), MetadataError> {
        self.add(key, true, Value::Bytes(value.into().into()))
    }

    fn add(&mut self, key: &str, is_bytes: bool, value: Value) -> Result<(), MetadataError> {
        let is_valid = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
        if key.is_empty() || !key.bytes().all(is_valid) {
            return Err(MetadataError::Key(key.to_owned()));
        }
        if key.starts_with("insula-") {
            return Err(MetadataError::Reserved(key.to_owned()));
        }
        if key.ends_with("-bin") != is_bytes {
            return Err(MetadataError::Kind(key.to_owned()));
        }
        // Without the entry that is replaced, which makes room for the new one.
        let others = self.0.iter().filter(|(other, _)| &**other != key);
        let (entries, bytes) = others.fold((0, 0), |(entries, bytes), (key, value)| {
            (entries + 1, bytes + key.len() + value.len())
        });
        let bytes = key.len().saturating_add(value.len()).saturating_add(bytes);
        if entries >= Self::MOST_ENTRIES || bytes > Self::MOST_BYTES {
            return Err(MetadataError::Full);
        }
        self.0.retain(|(other, _)| &**other != key);
        self.0.push((key.into(), value));
        Ok(())
    }

    /// Returns the text of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        match self.find(key)? {
            Value::Text(text) => Some(text),
            Value::Bytes(_) => None,
        }
    }

    /// Returns the bytes of a key: those of its text, if it has text.
    pub fn get_bytes(&self, key: &str) -> Option<&[u8]> {
        self.find(key).map(|value| match value {
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
        })
    }

    fn find(&self, key: &str) -> Option<&Value> {
        let mut entries = self.0.iter();
        entries.find(|(own, _)| &**own == key).map(|entry| &entry.1)
    }

    /// Returns all keys, in the order in which they were added.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| &**key)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(
                f,
                "`{key}` is no metadata key: write lower-case letters, digits, `-`, `_` and `.`"
            ),
            Self::Reserved(key) => {
                write!(f, "`{key}`: keys that begin with `insula-` are reserved")
            }
            Self::Kind(key) => write!(
                f,
                "`{key}`: keys that end with `-bin` have bytes, all others text"
            ),
            Self::Full => write!(
                f,
                "metadata has at most {} entries and {} bytes",
                Metadata::MOST_ENTRIES,
                Metadata::MOST_BYTES
            ),
        }
    }
}

impl Error for MetadataError {}

/// The identity of a trace as the W3C recommendation *Trace Context* defines it: the part of a
/// `traceparent` header that every participant passes on.
///
/// It is read from and shown as the header's value of version `00`:
///
/// ```
/// use insula_rpc::TraceContext;
///
/// # fn main() -> Result<(), insula_rpc::TraceContextError> {
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let trace: TraceContext = text.parse()?;
/// assert!(trace.is_sampled());
/// assert_eq!(trace.to_string(), text);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContextError;

impl TraceContext {
    /// Makes the identity of a span within a trace. `None` if one of the identifiers is zero, which
    /// the recommendation forbids.
    pub fn new(trace_id: u128, span_id: u64, is_sampled: bool) -> Option<Self> {
        let flags = u8::from(is_sampled);
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags,
        })
    }

    /// Returns the identifier of the whole trace.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the identifier of the span that makes the call: the parent of the spans that the
    /// callee opens.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns whether the caller records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl FromStr for TraceContext {
    type Err = TraceContextError;

    /// Reads version `00`, and of later versions the part that they have in common with it.
    fn from_str(text: &str) -> Result<Self, TraceContextError> {
        let mut parts = text.split('-');
        let mut hex = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            // `from_str_radix` alone would take a sign and upper-case digits, which the
            // recommendation forbids.
            let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            part.bytes().all(is_hex).then_some(part)
        };
        let (version, trace, span, flags) = (hex(2), hex(32), hex(16), hex(2));
        let has_more = parts.next().is_some();
        let read = || {
            let version = u8::from_str_radix(version?, 16).ok()?;
            // Version ff is invalid, and only versions after 00 may have more parts.
            if version == 0xff || (version == 0 && has_more) {
                return None;
            }
            let trace_id = u128::from_str_radix(trace?, 16).ok()?;
            let span_id = u64::from_str_radix(span?, 16).ok()?;
            let flags = u8::from_str_radix(flags?, 16).ok()?;
            // For its check of the identifiers alone; the flags are kept whole, with those that
            // only later versions know.
            let context = Self::new(trace_id, span_id, false)?;
            Some(Self { flags, ..context })
        };
        read().ok_or(TraceContextError)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

impl fmt::Display for TraceContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a traceparent: it looks like 00-<32 hex digits>-<16 hex digits>-<2 hex digits>",
        )
    }
}

impl Error for TraceContextError {}

/// The progress of a handler, as it tells its caller; see
/// [`Context::progress`](crate::Context::progress).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The steps that are done.
    pub done: u64,
    /// All steps, if their number is known.
    pub total: Option<u64>,
    /// The present step, in words.
    pub message: Option<String>,
}

impl Progress {
    /// Reports that so many steps are done.
    pub fn new(done: u64) -> Self {
        Self {
            done,
            ..Self::default()
        }
    }

    /// Sets the number of all steps.
    #[must_use]
    pub fn of(self, total: u64) -> Self {
        let total = Some(total);
        Self { total, ..self }
    }

    /// Sets the text that says what is being done.
    #[must_use]
    pub fn message(self, message: impl Into<String>) -> Self {
        let message = Some(message.into());
        Self { message, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_checked_and_bounded() {
        let mut metadata = Metadata::new();
        for key in ["", "Tenant", "a b", "ümlaut"] {
            assert_eq!(
                metadata.insert(key, "x"),
                Err(MetadataError::Key(key.to_owned()))
            );
        }
        assert!(matches!(
            metadata.insert("a-bin", "x"),
            Err(MetadataError::Kind(_))
        ));
        assert!(matches!(
            metadata.insert_bytes("a", [1]),
            Err(MetadataError::Kind(_))
        ));
        assert!(matches!(
            metadata.insert("insula-x", "x"),
            Err(MetadataError::Reserved(_))
        ));
        let almost = "x".repeat(Metadata::MOST_BYTES - 3);
        assert_eq!(metadata.insert("big", almost.clone()), Ok(()));
        assert_eq!(metadata.insert("b", ""), Err(MetadataError::Full));
        assert_eq!(metadata.insert("big", almost), Ok(()), "it replaces itself");
        assert_eq!(metadata.insert("big", ""), Ok(()));
        for n in 1..Metadata::MOST_ENTRIES {
            assert_eq!(metadata.insert(&n.to_string(), "x"), Ok(()));
        }
        assert_eq!(metadata.insert("one-more", ""), Err(MetadataError::Full));
        assert_eq!(metadata.len(), Metadata::MOST_ENTRIES);
    }

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert!(!valid.parse::<TraceContext>().unwrap().is_sampled());
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-may-come";
        assert!(later.parse::<TraceContext>().unwrap().is_sampled());
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-00",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-00",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ] {
            assert_eq!(
                wrong.parse::<TraceContext>(),
                Err(TraceContextError),
                "{wrong}"
            );
        }
    }
}
