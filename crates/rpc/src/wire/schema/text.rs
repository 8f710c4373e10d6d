//! The text of a schema: written and read.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::{MethodSchema, Schema, Text};
use crate::contract::MethodKind;

/// A text that is no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    line: usize,
    why: String,
}

/// The words for the kinds of calls, which the crate's documentation has too.
pub(super) const fn kind_name(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary => "unary",
        MethodKind::ServerStream => "server-streaming",
        MethodKind::ClientStream => "client-streaming",
        MethodKind::Bidirectional => "bidirectional",
    }
}

/// The word before the type that a method answers with.
pub(super) const fn answer_key(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary | MethodKind::ClientStream => "response",
        MethodKind::ServerStream | MethodKind::Bidirectional => "item",
    }
}

fn kind_of(name: &str) -> Option<MethodKind> {
    let kinds = [
        MethodKind::Unary,
        MethodKind::ServerStream,
        MethodKind::ClientStream,
        MethodKind::Bidirectional,
    ];
    kinds.into_iter().find(|kind| kind_name(*kind) == name)
}

// What is written here is fed to the hash in `hash.rs`.

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "contract {}", self.name)?;
        writeln!(f, "version {}", self.version)?;
        for method in self.sorted() {
            writeln!(f)?;
            method.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for MethodSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "method {}", self.name)?;
        writeln!(f, "  kind {}", kind_name(self.kind))?;
        if self.is_idempotent {
            writeln!(f, "  idempotent")?;
        }
        for parameter in &*self.parameters {
            writeln!(f, "  parameter {parameter}")?;
        }
        if let Some(sent) = &self.sent {
            writeln!(f, "  sent {sent}")?;
        }
        writeln!(f, "  {} {}", answer_key(self.kind), self.answer)?;
        writeln!(f, "  error {}", self.error)
    }
}

impl FromStr for Schema {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let mut lines = Lines::new(text);
        let name = lines.value("contract")?;
        let version = lines.value("version")?;
        let version = version
            .parse()
            .map_err(|_| lines.fault(format!("`{version}` is no version")))?;
        let mut methods: Vec<MethodSchema> = Vec::new();
        while let Some(name) = lines.optional("method") {
            if methods.iter().any(|method| method.name == name) {
                return Err(lines.fault(format!("a second method `{name}`")));
            }
            methods.push(read_method(name, &mut lines)?);
        }
        match lines.rest.first() {
            None => Ok(Self {
                name: owned(name),
                version,
                methods: Cow::Owned(methods),
            }),
            Some(_) => Err(lines.expected("method")),
        }
    }
}

fn read_method(name: &str, lines: &mut Lines<'_>) -> Result<MethodSchema, SchemaError> {
    let kind = lines.value("kind")?;
    let kind = kind_of(kind).ok_or_else(|| lines.fault(format!("`{kind}` is no kind of calls")))?;
    let is_idempotent = lines.flag("idempotent");
    let mut parameters = Vec::new();
    while let Some(parameter) = lines.optional("parameter") {
        parameters.push(owned(parameter));
    }
    let sent = match kind {
        MethodKind::ClientStream | MethodKind::Bidirectional => Some(owned(lines.value("sent")?)),
        MethodKind::Unary | MethodKind::ServerStream => None,
    };
    Ok(MethodSchema {
        name: owned(name),
        kind,
        is_idempotent,
        parameters: Cow::Owned(parameters),
        sent,
        answer: owned(lines.value(answer_key(kind))?),
        error: owned(lines.value("error")?),
    })
}

fn owned(text: &str) -> Text {
    Cow::Owned(text.to_owned())
}

/// The lines of a text that say something, with their numbers.
struct Lines<'a> {
    rest: Vec<(usize, &'a str)>,
    /// The number of the last line that was read.
    last: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let lines = text.lines().map(str::trim);
        let mut rest: Vec<_> = (1..)
            .zip(lines)
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .collect();
        // The next one is taken from the end.
        rest.reverse();
        Self { rest, last: 0 }
    }

    /// Reads a line that has a value, if it is the next one.
    fn optional(&mut self, key: &str) -> Option<&'a str> {
        let (number, line) = *self.rest.last()?;
        let value = line.strip_prefix(key)?.strip_prefix(' ')?;
        self.take(number);
        Some(value.trim_start())
    }

    fn flag(&mut self, key: &str) -> bool {
        match self.rest.last() {
            Some((number, line)) if *line == key => {
                self.take(*number);
                true
            }
            _ => false,
        }
    }

    fn value(&mut self, key: &str) -> Result<&'a str, SchemaError> {
        self.optional(key).ok_or_else(|| self.expected(key))
    }

    fn take(&mut self, number: usize) {
        self.last = number;
        self.rest.pop();
    }

    fn fault(&self, why: String) -> SchemaError {
        let line = self.last;
        SchemaError { line, why }
    }

    fn expected(&self, key: &str) -> SchemaError {
        match self.rest.last() {
            Some((line, text)) => SchemaError {
                line: *line,
                why: format!("`{key} …` is expected here, not `{text}`"),
            },
            None => SchemaError {
                line: self.last,
                why: format!("`{key} …` is missing after this line"),
            },
        }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, why } = self;
        write!(f, "line {line}: {why}")
    }
}

impl Error for SchemaError {}
