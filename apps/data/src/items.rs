//! Records as columns.

use serde::{Deserialize, Serialize};

/// Texts, one after the other in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Untested")]
pub struct Texts {
    text: String,
    /// The end of each text. A column has at most as many bytes as a `usize` can count.
    ends: Vec<usize>,
}

impl Texts {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// Returns the text at `index`, if there are so many.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1],
        };
        self.text.get(start..end)
    }

    /// Returns the texts in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds all texts of `other`.
    pub fn append(&mut self, other: &Self) {
        let start = self.text.len();
        self.text.push_str(&other.text);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// Returns all texts as one, and the end of each in it.
    pub(crate) fn whole(&self) -> (&str, &[usize]) {
        (&self.text, &self.ends)
    }

    fn bytes(&self) -> usize {
        self.text.len() + size_of_val(self.ends.as_slice())
    }
}

/// Texts that come from another process, whose ends may be anywhere.
#[derive(Deserialize)]
struct Untested {
    text: String,
    ends: Vec<usize>,
}

impl TryFrom<Untested> for Texts {
    type Error = &'static str;

    fn try_from(untested: Untested) -> Result<Self, &'static str> {
        let Untested { text, ends } = untested;
        let is_whole = ends.last().copied().unwrap_or_default() == text.len();
        if is_whole && ends.is_sorted() && ends.iter().all(|end| text.is_char_boundary(*end)) {
            Ok(Self { text, ends })
        } else {
            Err("texts that do not end where their columns say")
        }
    }
}

/// Records, each with a name and a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Items {
    /// The names.
    pub ids: Texts,
    /// The numbers, as many as names.
    pub values: Vec<f64>,
}

impl Items {
    /// Adds a record.
    pub fn push(&mut self, id: &str, value: f64) {
        self.ids.push(id);
        self.values.push(value);
    }

    /// Adds all records of `other`.
    pub fn append(&mut self, other: &Self) {
        self.ids.append(&other.ids);
        self.values.extend_from_slice(&other.values);
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the bytes that the records occupy.
    pub fn bytes(&self) -> usize {
        self.ids.bytes() + size_of_val(self.values.as_slice())
    }
}
