//! The hash of a schema, in a constant. It feeds the text of `text.rs` without making it, which
//! cannot be done in a constant; a test compares both.

use std::borrow::Cow;

use super::text::{answer_key, kind_name};
use super::{MethodSchema, Schema, Text};
use crate::fnv;

pub(super) const fn of(schema: &Schema) -> u64 {
    let mut hash = line(fnv::BASIS, "contract ", str_of(&schema.name));
    hash = number(feed(hash, "version "), schema.version);
    hash = feed(hash, "\n");
    let methods = match &schema.methods {
        Cow::Borrowed(methods) => *methods,
        Cow::Owned(methods) => methods.as_slice(),
    };
    let mut last = None;
    while let Some(method) = next(methods, last) {
        hash = method_of(hash, method);
        last = Some(str_of(&method.name));
    }
    hash
}

const fn method_of(hash: u64, method: &MethodSchema) -> u64 {
    let mut hash = line(hash, "\nmethod ", str_of(&method.name));
    hash = line(hash, "  kind ", kind_name(method.kind));
    if method.is_idempotent {
        hash = feed(hash, "  idempotent\n");
    }
    let parameters = match &method.parameters {
        Cow::Borrowed(parameters) => *parameters,
        Cow::Owned(parameters) => parameters.as_slice(),
    };
    let mut at = 0;
    while at < parameters.len() {
        hash = line(hash, "  parameter ", str_of(&parameters[at]));
        at += 1;
    }
    if let Some(sent) = &method.sent {
        hash = line(hash, "  sent ", str_of(sent));
    }
    hash = feed(hash, "  ");
    hash = feed(hash, answer_key(method.kind));
    hash = line(hash, " ", str_of(&method.answer));
    line(hash, "  error ", str_of(&method.error))
}

/// The method whose name comes next after `last`.
const fn next<'a>(methods: &'a [MethodSchema], last: Option<&str>) -> Option<&'a MethodSchema> {
    let mut found: Option<&MethodSchema> = None;
    let mut at = 0;
    while at < methods.len() {
        let method = &methods[at];
        let name = str_of(&method.name);
        let is_after = match last {
            Some(last) => is_less(last, name),
            None => true,
        };
        let is_first = match found {
            Some(found) => is_less(name, str_of(&found.name)),
            None => true,
        };
        if is_after && is_first {
            found = Some(method);
        }
        at += 1;
    }
    found
}

/// The order of `str`, by bytes.
const fn is_less(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

const fn str_of(text: &Text) -> &str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => text.as_str(),
    }
}

const fn line(hash: u64, key: &str, value: &str) -> u64 {
    feed(feed(feed(hash, key), value), "\n")
}

const fn feed(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        hash = fnv::add(hash, bytes[at]);
        at += 1;
    }
    hash
}

/// Feeds the decimal digits.
const fn number(hash: u64, number: u32) -> u64 {
    let hash = if number >= 10 {
        self::number(hash, number / 10)
    } else {
        hash
    };
    fnv::add(hash, b'0' + (number % 10) as u8)
}
