//! Orders: what the control methods of the protocol do to one isolate or pool.

use serde_json::{Value, json};

use crate::text::clean;

/// An operation on one isolate or pool, named by its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    pub(crate) verb: Verb,
    pub(crate) id: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Kill,
    Pause,
    Resume,
    Ping,
    Drain,
    Recycle,
    Resize { workers: u64 },
}

impl Verb {
    /// Returns the method of the protocol.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Ping => "ping",
            Self::Drain => "drain",
            Self::Recycle => "recycle",
            Self::Resize { .. } => "resize",
        }
    }

    /// Returns whether it acts on pools, and not on isolates.
    pub(crate) fn is_of_pools(self) -> bool {
        match self {
            Self::Drain | Self::Recycle | Self::Resize { .. } => true,
            Self::Kill | Self::Pause | Self::Resume | Self::Ping => false,
        }
    }
}

impl Order {
    pub(crate) fn params(&self) -> Value {
        match self.verb {
            Verb::Resize { workers } => json!({ "poolId": self.id, "workers": workers }),
            verb if verb.is_of_pools() => json!({ "poolId": self.id }),
            _ => json!({ "isolateId": self.id }),
        }
    }

    /// Returns the question whether to do it, with the name of the subject if it is known.
    pub(crate) fn question(&self, name: Option<&str>) -> String {
        let id = clean(&self.id);
        let subject = match name {
            Some(name) => format!("{} ({id})", clean(name)),
            None => id,
        };
        match self.verb {
            Verb::Resize { workers } => format!("resize {subject} to {workers} workers?"),
            verb => format!("{} {subject}?", verb.method()),
        }
    }
}
