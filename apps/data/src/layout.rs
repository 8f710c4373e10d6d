//! Which fields of a record are read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Format;

/// A field of all records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Its place, from zero on.
    pub index: usize,
}

/// The shape of a file's records, which the first of them determines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The format of the file.
    pub format: Format,
    /// The field that names a record.
    pub id: Field,
    /// The field with its number.
    pub value: Field,
    /// The fields of each record.
    pub fields: usize,
}

/// The fields that the user has asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The field that names a record; without it, the first one.
    pub id: Option<String>,
    /// The field with its number; without it, the first other one that has a number in the first
    /// record.
    pub value: Option<String>,
}

/// A field of the first record, as it is seen before the layout is known.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) is_number: bool,
}

impl Layout {
    /// Selects the fields from those of the first record.
    pub(crate) fn select(
        format: Format,
        seen: &[Seen],
        wanted: &Wanted,
    ) -> Result<Self, LayoutError> {
        let field = |index: usize| Field {
            name: seen[index].name.as_str().into(),
            index,
        };
        let named = |name: &str| {
            let found = seen.iter().position(|field| field.name == name);
            found.ok_or_else(|| LayoutError::NoField {
                name: name.to_owned(),
                fields: seen.iter().map(|field| field.name.clone()).collect(),
            })
        };
        if seen.is_empty() {
            return Err(LayoutError::Empty);
        }
        let id = wanted.id.as_deref().map_or(Ok(0), named)?;
        let value = match &wanted.value {
            Some(name) => named(name)?,
            None => (0..seen.len())
                .find(|index| *index != id && seen[*index].is_number)
                .ok_or(LayoutError::NoNumbers)?,
        };
        Ok(Self {
            format,
            id: field(id),
            value: field(value),
            fields: seen.len(),
        })
    }
}

/// The reason why a file has no layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// There is no record.
    Empty,
    /// No field has this name.
    NoField {
        /// The name.
        name: String,
        /// The names that there are.
        fields: Vec<String>,
    },
    /// No field has a number in the first record.
    NoNumbers,
    /// The first record cannot be read.
    First(crate::BadRow),
    /// A field of a Parquet file has a type that cannot be read.
    Type {
        /// The name of the field.
        field: String,
        /// Its type.
        kind: String,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there are no records"),
            Self::NoField { name, fields } => write!(
                f,
                "there is no field `{name}`; the fields are {}",
                fields.join(", ")
            ),
            Self::NoNumbers => {
                f.write_str("no field of the first record is a number; name one with --value FIELD")
            }
            Self::First(row) => write!(f, "line {row}"),
            Self::Type { field, kind } => {
                write!(
                    f,
                    "the field `{field}` is of the type {kind}, which cannot be read"
                )
            }
        }
    }
}

impl Error for LayoutError {}
