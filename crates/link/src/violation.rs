//! What the other side does against the protocol.

use std::error::Error;
use std::fmt;

use insula_rpc::wire::FrameError;

/// Something that the other side must not do. The link is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Bytes that are no frame.
    Frame(FrameError),
    /// A frame that may not come at this point.
    Unexpected(&'static str),
    /// More messages of one call than its windows allow.
    Flood {
        /// The number of the call.
        call: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(why) => write!(f, "the other side has sent {why}"),
            Self::Unexpected(what) => write!(f, "the other side has sent {what}"),
            Self::Flood { call } => {
                write!(
                    f,
                    "the other side has sent too many messages of call {call}"
                )
            }
        }
    }
}

impl Error for Violation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Frame(why) => Some(why),
            _ => None,
        }
    }
}

impl From<FrameError> for Violation {
    fn from(why: FrameError) -> Self {
        Self::Frame(why)
    }
}
