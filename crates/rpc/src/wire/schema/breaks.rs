//! The changes of a contract that need a new version.

use std::fmt;

use super::text::kind_name;
use super::{MethodSchema, Schema};
use crate::contract::MethodKind;

/// A change between two versions of a contract that breaks one side of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Break {
    /// The contract has another name.
    Renamed {
        /// The name before.
        old: String,
        /// The name now.
        new: String,
    },
    /// A method is gone. One that was renamed is gone too.
    MethodRemoved {
        /// The method.
        method: String,
    },
    /// A method has calls of another kind.
    KindChanged {
        /// The method.
        method: String,
        /// The kind before.
        old: MethodKind,
        /// The kind now.
        new: MethodKind,
    },
    /// A parameter has another type.
    ParameterChanged {
        /// The method.
        method: String,
        /// Its place, counted from 1.
        place: usize,
        /// The type before.
        old: String,
        /// The type now.
        new: String,
    },
    /// A method has a parameter more.
    ParameterAdded {
        /// The method.
        method: String,
        /// The type of the parameter.
        parameter: String,
    },
    /// A method has a parameter less.
    ParameterRemoved {
        /// The method.
        method: String,
        /// The type of the parameter.
        parameter: String,
    },
    /// The items that the caller sends have another type.
    SentItemChanged {
        /// The method.
        method: String,
        /// The type before.
        old: String,
        /// The type now.
        new: String,
    },
    /// The response, or the items of an answer, have another type.
    AnswerChanged {
        /// The method.
        method: String,
        /// The type before.
        old: String,
        /// The type now.
        new: String,
    },
    /// The error has another type.
    ErrorChanged {
        /// The method.
        method: String,
        /// The type before.
        old: String,
        /// The type now.
        new: String,
    },
    /// A method is not idempotent any more, and callers repeat its calls.
    IdempotenceWithdrawn {
        /// The method.
        method: String,
    },
    /// The version is the same although something breaks, or it is a lower one.
    VersionNotRaised {
        /// The version before.
        old: u32,
        /// The version now.
        new: u32,
    },
}

pub(super) fn between(old: &Schema, new: &Schema) -> Vec<Break> {
    let mut breaks = Vec::new();
    if old.name != new.name {
        breaks.push(Break::Renamed {
            old: old.name().to_owned(),
            new: new.name().to_owned(),
        });
    }
    for method in old.sorted() {
        match new.method(&method.name) {
            Some(changed) => between_methods(method, changed, &mut breaks),
            None => breaks.push(Break::MethodRemoved {
                method: method.name().to_owned(),
            }),
        }
    }
    let is_raised = new.version > old.version;
    if new.version < old.version || (!breaks.is_empty() && !is_raised) {
        breaks.push(Break::VersionNotRaised {
            old: old.version,
            new: new.version,
        });
    }
    breaks
}

fn between_methods(old: &MethodSchema, new: &MethodSchema, breaks: &mut Vec<Break>) {
    let method = || old.name().to_owned();
    if old.kind != new.kind {
        breaks.push(Break::KindChanged {
            method: method(),
            old: old.kind,
            new: new.kind,
        });
    }
    let (before, now) = (&old.parameters, &new.parameters);
    for (place, (before, now)) in (1..).zip(before.iter().zip(now.iter())) {
        if before != now {
            breaks.push(Break::ParameterChanged {
                method: method(),
                place,
                old: before.to_string(),
                new: now.to_string(),
            });
        }
    }
    for added in now.iter().skip(before.len()) {
        breaks.push(Break::ParameterAdded {
            method: method(),
            parameter: added.to_string(),
        });
    }
    for removed in before.iter().skip(now.len()) {
        breaks.push(Break::ParameterRemoved {
            method: method(),
            parameter: removed.to_string(),
        });
    }
    // If there is none on one side, the kind has changed.
    if let (Some(before), Some(now)) = (&old.sent, &new.sent)
        && before != now
    {
        breaks.push(Break::SentItemChanged {
            method: method(),
            old: before.to_string(),
            new: now.to_string(),
        });
    }
    if old.answer != new.answer {
        breaks.push(Break::AnswerChanged {
            method: method(),
            old: old.answer().to_owned(),
            new: new.answer().to_owned(),
        });
    }
    if old.error != new.error {
        breaks.push(Break::ErrorChanged {
            method: method(),
            old: old.error().to_owned(),
            new: new.error().to_owned(),
        });
    }
    if old.is_idempotent && !new.is_idempotent {
        breaks.push(Break::IdempotenceWithdrawn { method: method() });
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renamed { old, new } => {
                write!(f, "the contract `{old}` is called `{new}`")
            }
            Self::MethodRemoved { method } => write!(f, "`{method}` was removed"),
            Self::KindChanged { method, old, new } => {
                let (old, new) = (kind_name(*old), kind_name(*new));
                write!(f, "`{method}` was {old} and is {new}")
            }
            Self::ParameterChanged {
                method,
                place,
                old,
                new,
            } => write!(
                f,
                "parameter {place} of `{method}` was `{old}` and is `{new}`"
            ),
            Self::ParameterAdded { method, parameter } => {
                write!(f, "`{method}` has a further parameter `{parameter}`")
            }
            Self::ParameterRemoved { method, parameter } => {
                write!(f, "`{method}` has no parameter `{parameter}` any more")
            }
            Self::SentItemChanged { method, old, new } => write!(
                f,
                "the caller of `{method}` sent items `{old}` and sends `{new}`"
            ),
            Self::AnswerChanged { method, old, new } => {
                write!(f, "`{method}` answered with `{old}` and does with `{new}`")
            }
            Self::ErrorChanged { method, old, new } => {
                write!(f, "`{method}` failed with `{old}` and does with `{new}`")
            }
            Self::IdempotenceWithdrawn { method } => {
                write!(f, "`{method}` is no longer idempotent")
            }
            Self::VersionNotRaised { old, new } => {
                write!(f, "the version was {old} and is {new}")
            }
        }
    }
}
