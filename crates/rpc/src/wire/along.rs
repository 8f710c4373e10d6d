//! The values that travel along with a call, as any serializer writes them. They are checked when they
//! are read.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::envelope::{Metadata, TraceContext};

#[derive(Serialize, Deserialize)]
enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

/// A sequence of keys with their values.
impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.keys().map(|key| {
            let value = match self.get(key) {
                Some(text) => Value::Text(text.to_owned()),
                None => Value::Bytes(self.get_bytes(key).unwrap_or_default().to_owned()),
            };
            (key, value)
        }))
    }
}

/// # Errors
/// An entry is not valid, or there are too many.
impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("metadata")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Metadata, A::Error> {
                let mut metadata = Metadata::new();
                // Bounded by what metadata may have.
                while let Some((key, value)) = entries.next_element::<(String, Value)>()? {
                    let added = match value {
                        Value::Text(text) => metadata.insert(&key, text),
                        Value::Bytes(bytes) => metadata.insert_bytes(&key, bytes),
                    };
                    added.map_err(A::Error::custom)?;
                }
                Ok(metadata)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

/// The value of a `traceparent` header.
impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
