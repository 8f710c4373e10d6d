//! Records as JSON objects, one in each line.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use memchr::memchr_iter;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Number;

use crate::layout::Seen;
use crate::{Block, Layout, RowError, Rows};

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
            // One field may be both.
            match (*key == **id, *key == **value) {
                (true, true) => {
                    record.id = map.next_value()?;
                    record.value = record.id.as_ref().map(Scalar::again);
                }
                (true, false) => record.id = map.next_value()?,
                (false, true) => record.value = map.next_value()?,
                (false, false) => {
                    map.next_value::<IgnoredAny>()?;
                }
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

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Scalar<'de>, E> {
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

/// Returns the fields of an object in their order.
pub(crate) fn fields(text: &[u8]) -> Result<Vec<Seen>, RowError> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let fields = parser.deserialize_map(Fields);
    fields.map_err(|error| syntax(&error))
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<Seen>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Seen>, A::Error> {
        let mut fields: Vec<Seen> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Scalar<'_>>()? {
            if fields.iter().any(|field| field.name == name) {
                return Err(A::Error::custom(format_args!(
                    "the key `{name}` comes twice"
                )));
            }
            let is_number = matches!(value, Scalar::Number(_));
            fields.push(Seen { name, is_number });
        }
        Ok(fields)
    }
}
