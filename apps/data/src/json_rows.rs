//! Records as JSON objects, one in each line.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use memchr::memchr_iter;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Number;

use crate::layout::{Content, Seen};
use crate::{BadRow, Block, Layout, LayoutError, RowError, Rows};

/// Reads all records of a block.
pub(crate) fn read(block: &Block, rows: &mut Rows) {
    let mut start = 0;
    // The last line may end without a line break.
    let ends = memchr_iter(b'\n', &block.bytes).chain([block.bytes.len()]);
    for (line, end) in (block.line..).zip(ends) {
        let text = block.bytes[start..end].trim_ascii();
        if !text.is_empty()
            && let Err(error) = read_record(text, line, rows)
        {
            rows.bad.push(line, error);
        }
        start = (end + 1).min(block.bytes.len());
    }
}

fn read_record(text: &[u8], line: u64, rows: &mut Rows) -> Result<(), RowError> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let record = Wanted(rows.layout()).deserialize(&mut parser);
    let record = record.and_then(|record| parser.end().map(|()| record));
    let Record { id, value } = record.map_err(|error| syntax(&error))?;
    let name = |field: &crate::Field| Arc::clone(&field.name);
    let id = match id {
        Some(Scalar::Text(text)) => text,
        Some(Scalar::Number(number)) => number.to_string().into(),
        Some(Scalar::Other(_)) | None => {
            let field = name(&rows.layout().id);
            return Err(RowError::NoName { field });
        }
    };
    match value {
        None => rows.missing += 1,
        Some(Scalar::Number(number)) => match number.as_f64().filter(|it| it.is_finite()) {
            Some(value) => rows.push(line, &id, value),
            None => return Err(rows.not_a_number(&number.to_string())),
        },
        Some(Scalar::Text(text)) => return Err(rows.not_a_number(&format!("\"{text}\""))),
        Some(Scalar::Other(kind)) => return Err(rows.not_a_number(kind)),
    }
    Ok(())
}

/// Leaves out the parser's place, whose line is that within the record.
fn syntax(error: &serde_json::Error) -> RowError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    RowError::Json {
        reason: reason.to_owned(),
        column: error.column(),
    }
}

/// The two fields that matter.
#[derive(Debug)]
struct Record<'de> {
    id: Option<Scalar<'de>>,
    /// `None` if the field is missing or `null`.
    value: Option<Scalar<'de>>,
}

/// A value without parts.
#[derive(Debug)]
enum Scalar<'de> {
    Number(Number),
    Text(Cow<'de, str>),
    /// The kind of another value.
    Other(&'static str),
}

/// Reads the fields of a layout, and skips the others without storing them.
struct Wanted<'a>(&'a Layout);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Record<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Record<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let (id, value) = (&self.0.id.name, &self.0.value.name);
        let mut record = Record {
            id: None,
            value: None,
        };
        while let Some(Key(key)) = map.next_key()? {
            let (is_id, is_value) = (*key == **id, *key == **value);
            if !is_id && !is_value {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if (is_id && record.id.is_some()) || (is_value && record.value.is_some()) {
                return Err(twice(&key));
            }
            let found: Option<Scalar<'_>> = map.next_value()?;
            // One field may be both.
            if is_id && is_value {
                record.id = found.as_ref().map(Scalar::again);
                record.value = found;
            } else if is_id {
                record.id = found;
            } else {
                record.value = found;
            }
        }
        Ok(record)
    }
}

impl Scalar<'_> {
    fn again(&self) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.clone()),
            Self::Text(text) => Self::Text(Cow::Owned(text.clone().into_owned())),
            Self::Other(kind) => Self::Other(kind),
        }
    }
}

/// A key, which needs no memory unless it has escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyScalar)
    }
}

struct AnyScalar;

impl<'de> Visitor<'de> for AnyScalar {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(match value {
            true => "true",
            false => "false",
        }))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar<'de>, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Scalar::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(text.to_owned().into()))
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other("null"))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}

/// Returns the fields of some records. They begin with the field with which most records do, in the
/// order of the one of those that has the most fields. So a record that lacks a field does not change
/// the order.
///
/// # Errors
/// Returns [`LayoutError::First`] if there are records, and none of them can be read.
pub(crate) fn fields(records: &[(u64, &[u8])]) -> Result<Vec<Seen>, LayoutError> {
    let mut bad = None;
    let mut all = Vec::new();
    for (line, text) in records {
        match contents(text) {
            Ok(fields) => all.push(fields),
            Err(error) if bad.is_none() => bad = Some(BadRow { line: *line, error }),
            Err(_) => {}
        }
    }
    if let (Some(row), true) = (bad, all.is_empty()) {
        return Err(LayoutError::First(row));
    }
    let begins = |fields: &Contents, name: &str| fields.first().is_some_and(|it| it.0 == name);
    let votes = |name: &str| all.iter().filter(|fields| begins(fields, name)).count();
    let first = all
        .iter()
        .filter_map(|fields| Some(fields.first()?.0.as_str()));
    // Of several, `max_by_key` returns the last.
    let first = first.rev().max_by_key(|name| votes(name));
    let first = first.unwrap_or_default().to_owned();
    all.sort_by_key(|fields| (!begins(fields, &first), Reverse(fields.len())));
    let mut seen: Vec<Seen> = Vec::new();
    for (name, content) in all.into_iter().flatten() {
        let found = seen.iter().position(|field| field.name == name);
        let index = found.unwrap_or_else(|| {
            seen.push(Seen::new(name));
            seen.len() - 1
        });
        seen[index].add(content);
    }
    Ok(seen)
}

/// The keys of an object in their order, and what they have.
type Contents = Vec<(String, Content)>;

fn contents(text: &[u8]) -> Result<Contents, RowError> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let fields = parser.deserialize_map(Fields);
    let fields = fields.and_then(|fields| parser.end().map(|()| fields));
    fields.map_err(|error| syntax(&error))
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Contents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Contents::new();
        while let Some((name, value)) = map.next_entry::<String, Option<Scalar<'_>>>()? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(twice(&name));
            }
            let content = match value {
                None => Content::Nothing,
                Some(Scalar::Number(_)) => Content::Number,
                Some(Scalar::Text(_) | Scalar::Other(_)) => Content::Other,
            };
            fields.push((name, content));
        }
        Ok(fields)
    }
}

/// The error of an object with two values for one key, of which neither is better than the other.
fn twice<E: Error>(key: &str) -> E {
    E::custom(format_args!("the key `{key}` comes twice"))
}
