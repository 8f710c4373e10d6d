//! The risk: pprof reads another profile than was taken, or none.

use std::io::Read;

use flate2::read::GzDecoder;
use insula_inspect::model::{Profile, Stack};

use super::{encoded, field};

/// A value of a field, of the two types that occur.
#[derive(Clone, PartialEq, Debug)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Value {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => panic!("{number} is no message"),
        }
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().expect("there is one more byte");
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Returns the fields of a message.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (own, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(own.to_vec())
            }
            other => panic!("no field of type {other} was written"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn numbers(bytes: Vec<u8>) -> Vec<u64> {
    let (mut bytes, mut numbers) = (bytes.as_slice(), Vec::new());
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes));
    }
    numbers
}

/// Returns the stacks of a file, each from the innermost frame, with its values.
fn stacks(file: &[u8]) -> Vec<(Vec<String>, Vec<u64>)> {
    let mut bytes = Vec::new();
    let mut decoder = GzDecoder::new(file);
    decoder.read_to_end(&mut bytes).expect("it is gzip");
    let all = fields(&bytes);
    let of = |field: u64| {
        let own = all.iter().filter(move |it| it.0 == field);
        own.map(|it| it.1.clone().bytes())
    };
    let texts: Vec<_> = of(field::STRING_TABLE)
        .map(|text| String::from_utf8(text).expect("it is a text"))
        .collect();
    assert_eq!(texts[0], "");
    let number = |message: &[u8], field: u64| {
        let found = fields(message).into_iter().find(|it| it.0 == field);
        match found.map(|it| it.1) {
            Some(Value::Number(number)) => number,
            other => panic!("it is no number: {other:?}"),
        }
    };
    let functions: Vec<_> = of(field::FUNCTION).collect();
    let name_of = |location: u64| {
        let own = of(field::LOCATION).find(|it| number(it, 1) == location);
        let own = fields(&own.expect("it is there"));
        let line = own.into_iter().find(|it| it.0 == 4).expect("it has one");
        let function = number(&line.1.bytes(), 1);
        let own = functions.iter().find(|it| number(it, 1) == function);
        texts[number(own.expect("it is there"), 2) as usize].clone()
    };
    of(field::SAMPLE)
        .map(|sample| {
            let [locations, values] = [1, 2].map(|field| {
                let found = fields(&sample).into_iter().find(|it| it.0 == field);
                numbers(found.expect("it is there").1.bytes())
            });
            (locations.into_iter().map(name_of).collect(), values)
        })
        .collect()
}

#[test]
fn a_file_has_the_stacks_from_the_innermost_frame_with_their_looks_and_times() {
    let stack = |frames: &[&str], looks| Stack {
        frames: frames.iter().map(|&frame| frame.to_owned()).collect(),
        looks,
    };
    let profile = Profile {
        duration_ms: 1_000,
        looks: 500,
        stacks: vec![
            stack(&["thread 0", "mill", "Mill.grind"], 300),
            stack(&["thread 1", "mill"], 1),
        ],
    };
    let file = encoded(&profile).expect("it is compressed");
    let frames = |frames: &[&str]| -> Vec<_> { frames.iter().map(|&it| it.to_owned()).collect() };
    // A look stands for 2 ms.
    assert_eq!(
        stacks(&file),
        [
            (
                frames(&["Mill.grind", "mill", "thread 0"]),
                vec![300, 600_000_000]
            ),
            (frames(&["mill", "thread 1"]), vec![1, 2_000_000]),
        ]
    );
}

#[test]
fn a_profile_without_stacks_is_a_file_too() {
    let file = encoded(&Profile::default()).expect("it is compressed");
    assert!(stacks(&file).is_empty());
}
