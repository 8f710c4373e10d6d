//! A profile as a file of pprof: gzip of a message of Protocol Buffers, after `profile.proto` of
//! <https://github.com/google/pprof>.
//!
//! The few messages are written by hand, which is less than a compiler of schemas and its library. A
//! field is its number and its type in one varint, and its value: a varint, or a length and so many
//! bytes. Each frame is a function with a location of its own, numbered from 1. Texts are in one
//! table, whose first is empty.

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use insula_inspect::model::Profile;

/// The fields of the message `Profile`.
mod field {
    pub(super) const SAMPLE_TYPE: u64 = 1;
    pub(super) const SAMPLE: u64 = 2;
    pub(super) const LOCATION: u64 = 4;
    pub(super) const FUNCTION: u64 = 5;
    pub(super) const STRING_TABLE: u64 = 6;
    pub(super) const DURATION_NANOS: u64 = 10;
    pub(super) const PERIOD_TYPE: u64 = 11;
    pub(super) const PERIOD: u64 = 12;
}

/// Returns the bytes of the file.
///
/// # Errors
/// If they cannot be compressed.
pub(crate) fn encoded(profile: &Profile) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&message(profile))?;
    encoder.finish()
}

fn message(profile: &Profile) -> Vec<u8> {
    let mut texts = Texts::default();
    texts.place("");
    let mut message = Message::default();
    let (samples, count) = (texts.place("samples"), texts.place("count"));
    let (wall, nanoseconds) = (texts.place("wall"), texts.place("nanoseconds"));
    message.nested(field::SAMPLE_TYPE, &value_type(samples, count));
    message.nested(field::SAMPLE_TYPE, &value_type(wall, nanoseconds));
    let duration = profile.duration_ms.saturating_mul(1_000_000);
    let period = duration / profile.looks.max(1);
    let mut functions = Functions::default();
    for stack in &profile.stacks {
        // The innermost comes first.
        let frames = stack.frames.iter().rev();
        let locations = frames.map(|frame| functions.number(texts.place(frame)));
        let mut sample = Message::default();
        sample.packed(1, locations);
        sample.packed(2, [stack.looks, stack.looks.saturating_mul(period)]);
        message.nested(field::SAMPLE, &sample);
    }
    for (number, name) in (1..).zip(&functions.names) {
        message.nested(field::LOCATION, &location(number));
        message.nested(field::FUNCTION, &function(number, *name));
    }
    for text in &texts.all {
        message.bytes(field::STRING_TABLE, text.as_bytes());
    }
    message.number(field::DURATION_NANOS, duration);
    message.nested(field::PERIOD_TYPE, &value_type(wall, nanoseconds));
    message.number(field::PERIOD, period);
    message.0
}

fn value_type(kind: u64, unit: u64) -> Message {
    let mut message = Message::default();
    message.number(1, kind);
    message.number(2, unit);
    message
}

fn location(number: u64) -> Message {
    let mut line = Message::default();
    line.number(1, number);
    let mut message = Message::default();
    message.number(1, number);
    message.nested(4, &line);
    message
}

fn function(number: u64, name: u64) -> Message {
    let mut message = Message::default();
    message.number(1, number);
    message.number(2, name);
    message.number(3, name);
    message
}

/// The texts of a file, each once.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    places: HashMap<String, u64>,
}

impl Texts {
    /// Returns the place of a text.
    fn place(&mut self, text: &str) -> u64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.all.len() as u64;
        self.all.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

/// The functions of a file: the places of their names, in the order of their numbers from 1.
#[derive(Default)]
struct Functions {
    names: Vec<u64>,
    numbers: HashMap<u64, u64>,
}

impl Functions {
    fn number(&mut self, name: u64) -> u64 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() as u64
        })
    }
}

/// A message of Protocol Buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.varint(field << 3);
        self.varint(number);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn nested(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn packed(&mut self, field: u64, numbers: impl IntoIterator<Item = u64>) {
        let mut message = Self::default();
        for number in numbers {
            message.varint(number);
        }
        self.nested(field, &message);
    }
}

#[cfg(test)]
mod tests;
