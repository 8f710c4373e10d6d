//! A contract as text: what two programs must have in common to call each other.

mod breaks;
mod check;
mod hash;
mod text;

use std::borrow::Cow;

pub use breaks::Break;
pub use check::check_schema;
pub use text::SchemaError;

use crate::contract::{MethodDescriptor, MethodKind};

/// The methods of a contract, and the types of their values as they are written there.
///
/// The schema of a contract is [`WireContract::SCHEMA`](super::WireContract::SCHEMA). That of an
/// earlier version is read from a file; [`check_schema`] compares both.
///
/// # The text of a schema
/// [`to_string`](ToString::to_string) writes a schema, and [`str::parse`] reads it.
///
/// ```text
/// contract Meter
/// version 2
///
/// method means
///   kind bidirectional
///   sent f64
///   item f64
///   error ReadError
///
/// method record
///   kind unary
///   idempotent
///   parameter String
///   parameter u32
///   response ()
///   error Full
/// ```
///
/// The methods are in the order of their names, so moving a method in the trait changes nothing. The
/// names of parameters are not there, since they are not sent. Blanks in types are normalized. A
/// line that begins with `#` is a comment, and is not written back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    name: Text,
    version: u32,
    methods: Cow<'static, [MethodSchema]>,
}

/// A method of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodSchema {
    name: Text,
    kind: MethodKind,
    is_idempotent: bool,
    parameters: Cow<'static, [Text]>,
    /// The items that the caller sends.
    sent: Option<Text>,
    /// The response, or the items of the answer.
    answer: Text,
    error: Text,
}

/// Text of a contract, or of a file.
type Text = Cow<'static, str>;

impl Schema {
    /// Makes the schema of a contract. Called by generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, version: u32, methods: &'static [MethodSchema]) -> Self {
        Self {
            name: Cow::Borrowed(name),
            version,
            methods: Cow::Borrowed(methods),
        }
    }

    /// Returns the name of the contract.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version of the contract.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Returns the methods, in no particular order.
    pub fn methods(&self) -> &[MethodSchema] {
        &self.methods
    }

    /// Returns the method of this name.
    pub fn method(&self, name: &str) -> Option<&MethodSchema> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// Returns the methods in the order of their names.
    fn sorted(&self) -> Vec<&MethodSchema> {
        let mut sorted: Vec<_> = self.methods.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        sorted
    }

    /// Returns the 64-bit FNV-1a of the text of this schema, without comments.
    ///
    /// It does not see what the types are made of; see [the module](super#what-a-schema-sees).
    #[must_use]
    pub const fn hash(&self) -> u64 {
        hash::of(self)
    }

    /// Returns the changes from `old` to `new` that break a caller of the old version, or a program
    /// that serves it. None of them is forbidden by itself, but they need another version: if there
    /// are any and `new` has not a higher one, that is a break too.
    ///
    /// A method that is added breaks nothing, nor does one that becomes idempotent.
    #[must_use]
    pub fn breaks(old: &Self, new: &Self) -> Vec<Break> {
        breaks::between(old, new)
    }
}

impl MethodSchema {
    /// Makes a line of the schema of a contract. Called by generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        method: MethodDescriptor,
        parameters: &'static [Text],
        sent: Option<&'static str>,
        answer: &'static str,
        error: &'static str,
    ) -> Self {
        Self {
            name: Cow::Borrowed(method.name),
            kind: method.kind,
            is_idempotent: method.is_idempotent,
            parameters: Cow::Borrowed(parameters),
            sent: match sent {
                Some(sent) => Some(Cow::Borrowed(sent)),
                None => None,
            },
            answer: Cow::Borrowed(answer),
            error: Cow::Borrowed(error),
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the kind of its calls.
    pub fn kind(&self) -> MethodKind {
        self.kind
    }

    /// Returns whether a call may run more than once.
    pub fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// Returns the types of the values of a request, without the items that follow it.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|parameter| &**parameter)
    }

    /// Returns the type of the items that the caller sends, if it sends any.
    pub fn sent(&self) -> Option<&str> {
        self.sent.as_deref()
    }

    /// Returns the type of the response, or of the items of the answer.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Returns the type of the error.
    pub fn error(&self) -> &str {
        &self.error
    }
}

#[cfg(test)]
mod tests;
