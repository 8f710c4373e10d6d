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

/// The shape of a file's records, which the first of them determine.
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
    /// The field with its number; without it, the first other one that has numbers in the first
    /// records, and not more of anything else. One record does not decide, since it may be wrong.
    pub value: Option<String>,
}

/// A field as the first records show it, before the layout is known.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    numbers: usize,
    others: usize,
}

/// What a field of one record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Number,
    Nothing,
    Other,
}

impl Seen {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            numbers: 0,
            others: 0,
        }
    }

    /// Counts what the field of one more record has.
    pub(crate) fn add(&mut self, content: Content) {
        match content {
            Content::Number => self.numbers += 1,
            Content::Nothing => {}
            Content::Other => self.others += 1,
        }
    }

    fn has_numbers(&self) -> bool {
        self.numbers > 0 && self.numbers >= self.others
    }
}

impl Layout {
    /// Selects the fields from those of the first records.
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
            let mut found = (0..seen.len()).filter(|index| seen[*index].name == name);
            let name = || name.to_owned();
            match (found.next(), found.next()) {
                (Some(index), None) => Ok(index),
                (Some(_), Some(_)) => Err(LayoutError::Twice { name: name() }),
                (None, _) => Err(LayoutError::NoField {
                    name: name(),
                    fields: seen.iter().map(|field| field.name.clone()).collect(),
                }),
            }
        };
        if seen.is_empty() {
            return Err(LayoutError::Empty);
        }
        let id = wanted.id.as_deref().map_or(Ok(0), named)?;
        let value = match &wanted.value {
            Some(name) => named(name)?,
            None => (0..seen.len())
                .find(|index| *index != id && seen[*index].has_numbers())
                .ok_or_else(|| LayoutError::NoNumbers {
                    id: seen[id].name.clone(),
                })?,
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
    /// Several fields have this name.
    Twice {
        /// The name.
        name: String,
    },
    /// No field mostly has numbers in the first records, apart from the one that names a record.
    NoNumbers {
        /// The name of that field.
        id: String,
    },
    /// None of the first records can be read, or not the one with the names of the fields. This is
    /// the first.
    First(crate::BadRow),
    /// A field of a Parquet file has a type that is not read as a number.
    NotANumber {
        /// The name of the field.
        field: String,
        /// Its type.
        kind: String,
    },
    /// A field of a Parquet file has a type that cannot name a record.
    NotAName {
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
            Self::Twice { name } => write!(
                f,
                "several fields have the name `{name}`; give all but one another name"
            ),
            Self::NoNumbers { id } => write!(
                f,
                "no field besides `{id}` mostly has numbers in the first records; name one with \
                 --value FIELD"
            ),
            Self::First(row) => write!(f, "line {row}"),
            Self::NotANumber { field, kind } => write!(
                f,
                "the field `{field}` is of the type {kind}, which is not read as a number; name \
                 another one with --value FIELD, or convert it to DOUBLE"
            ),
            Self::NotAName { field, kind } => write!(
                f,
                "the field `{field}` is of the type {kind}, which cannot name a record; name \
                 another one with --id FIELD"
            ),
        }
    }
}

impl Error for LayoutError {}
