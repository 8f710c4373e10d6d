//! Risk: bytes from elsewhere end the program: by a panic, by the end of the stack, by memory that
//! they only claim to need, or by a loop without end.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{MOST_EMPTY, MOST_NESTED, decode_all, decode_some};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    small: (u8, i8, bool, char, ()),
    numbers: (u16, u32, u64, u128, usize),
    signed: (i16, i32, i64, i128, isize),
    floats: (f32, f64),
    text: String,
    bytes: Vec<u8>,
    array: [u16; 3],
    option: Option<Option<u32>>,
    map: BTreeMap<String, Vec<i64>>,
    shapes: Vec<Shape>,
    wrapped: Wrapped,
    unit: Unit,
    time: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(u32, u32),
    Box { width: u64, inner: Box<Shape> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wrapped(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

fn everything(seed: u64) -> Everything {
    let mut dice = Dice(seed);
    Everything {
        small: (dice.roll() as u8, dice.roll() as i8, true, '☺', ()),
        numbers: (
            dice.roll() as u16,
            dice.roll() as u32,
            dice.roll(),
            u128::from(dice.roll()) << 61,
            dice.roll() as usize,
        ),
        signed: (
            dice.roll() as i16,
            dice.roll() as i32,
            dice.roll() as i64,
            -i128::from(dice.roll() >> 1) << 60,
            dice.roll() as isize,
        ),
        floats: (dice.roll() as f32, f64::from(dice.roll() as u32) / 7.0),
        text: "words and 😈".repeat((dice.roll() % 20) as usize),
        bytes: vec![dice.roll() as u8; (dice.roll() % 300) as usize],
        array: [0, 1, u16::MAX],
        option: [None, Some(None), Some(Some(7))][(dice.roll() % 3) as usize],
        map: [
            ("a".to_owned(), vec![i64::MIN, i64::MAX]),
            (String::new(), vec![]),
        ]
        .into(),
        shapes: vec![
            Shape::Point,
            Shape::Circle(0.5),
            Shape::Line(1, 2),
            Shape::Box {
                width: 9,
                inner: Box::new(Shape::Point),
            },
        ],
        wrapped: Wrapped(dice.roll()),
        unit: Unit,
        time: Duration::new(dice.roll() >> 1, 999_999_999),
    }
}

/// SplitMix64, by Sebastiano Vigna (2015).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("can be encoded")
}

/// Both decoders agree, if the limits do not matter.
fn assert_agree<T: DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let theirs = postcard::take_from_bytes::<T>(bytes);
    match (decode_some::<T>(bytes), theirs) {
        (Ok((own, rest)), Ok((theirs, their_rest))) => {
            // Floats that are no numbers are not equal, and have one text.
            assert_eq!(format!("{own:?}"), format!("{theirs:?}"));
            assert_eq!(rest, their_rest);
        }
        (Err(_), Err(_)) => {}
        (own, theirs) => panic!("{own:?} and {theirs:?} of {bytes:?}"),
    }
}

#[test]
fn what_was_encoded_is_decoded() {
    for seed in 0..200 {
        let value = everything(seed);
        let bytes = encoded(&value);
        assert_eq!(decode_all(&bytes), Ok(value));
    }
    for number in (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, u64::MAX << bit]) {
        let bytes = encoded(&(number as u16, number as u32, number, number as i64));
        assert_eq!(
            decode_all(&bytes),
            Ok((number as u16, number as u32, number, number as i64))
        );
    }
}

#[test]
fn changed_bytes_are_decoded_as_by_the_other_decoder() {
    let mut dice = Dice(1);
    for seed in 0..2_000 {
        let mut bytes = encoded(&everything(seed % 50));
        for _ in 0..=dice.roll() % 4 {
            let at = (dice.roll() as usize) % bytes.len();
            bytes[at] = dice.roll() as u8;
        }
        let length = bytes.len();
        bytes.truncate(length - (dice.roll() as usize) % 3);
        assert_agree::<Everything>(&bytes);
    }
}

#[test]
fn garbage_is_an_error_or_a_value_and_nothing_else() {
    let mut dice = Dice(2);
    for _ in 0..20_000 {
        let length = dice.roll() % 40;
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                // Small numbers are lengths and variants, and get further.
                let byte = dice.roll() as u8;
                if dice.roll().is_multiple_of(2) {
                    byte % 5
                } else {
                    byte
                }
            })
            .collect();
        assert_agree::<Everything>(&bytes);
        assert_agree::<Vec<Shape>>(&bytes);
        assert_agree::<Vec<Option<String>>>(&bytes);
        assert_agree::<BTreeMap<u8, Vec<(bool, char)>>>(&bytes);
        assert_agree::<(i16, i32, i64, i128, u128)>(&bytes);
    }
}

#[test]
fn an_error_says_what_and_where() {
    let refused = |bytes: &[u8]| decode_all::<(u8, String)>(bytes).unwrap_err().to_string();
    assert_eq!(refused(&[]), "the bytes end within a value, at byte 0 of 0");
    assert_eq!(
        refused(&[1, 200, 1]),
        "a length is larger than the bytes that follow, at byte 3 of 3"
    );
    assert_eq!(
        refused(&[1, 1, 0xff]),
        "a text is not UTF-8, at byte 3 of 3"
    );
    assert_eq!(
        refused(&[1, 1, b'a', 0, 0]),
        "2 bytes follow the value, which has 3"
    );
    let why = decode_all::<Shape>(&[9]).unwrap_err().to_string();
    assert!(why.contains("variant index 0 <= i < 4"), "{why}");
}

#[test]
fn bytes_that_follow_are_an_error() {
    assert_eq!(decode_all::<u8>(&[7]), Ok(7));
    assert!(decode_all::<u8>(&[7, 0]).is_err());
    assert!(decode_all::<()>(&[0]).is_err());
    assert_eq!(decode_some::<u8>(&[7, 8, 9]), Ok((7, &[8, 9][..])));
}

thread_local! {
    /// The largest number of elements that a decoder has announced.
    static ANNOUNCED: Cell<usize> = const { Cell::new(0) };
}

/// Notes how many elements its sequence or map is said to have, and reads no more.
struct Announced<T>(PhantomData<T>);

struct Sequence;
struct Map;

impl<'de> Deserialize<'de> for Announced<Sequence> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Announced<Map> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(PhantomData))
    }
}

impl<'de, T> Visitor<'de> for Announced<T> {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self, A::Error> {
        ANNOUNCED.set(elements.size_hint().unwrap_or(0));
        Err(A::Error::custom("enough"))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self, A::Error> {
        ANNOUNCED.set(entries.size_hint().unwrap_or(0));
        Err(A::Error::custom("enough"))
    }
}

/// A length, as it is encoded.
fn length(length: u64) -> Vec<u8> {
    encoded(&length)
}

#[test]
fn a_length_that_lies_makes_room_for_nothing() {
    for lie in [100, 1 << 20, 1 << 40, u64::MAX] {
        let mut bytes = length(lie);
        bytes.extend([0; 50]);
        assert!(decode_all::<Announced<Sequence>>(&bytes).is_err());
        assert_eq!(ANNOUNCED.take(), 50, "the bytes that are there");
        assert!(decode_all::<Announced<Map>>(&bytes).is_err());
        assert_eq!(ANNOUNCED.take(), 50, "the bytes that are there");
        assert!(decode_all::<Vec<u8>>(&bytes).is_err());
        assert!(decode_all::<String>(&bytes).is_err());
        assert!(decode_all::<Vec<[u64; 32]>>(&bytes).is_err());
        assert!(decode_all::<HashMap<u64, [u64; 32]>>(&bytes).is_err());
        assert!(decode_all::<HashSet<String>>(&bytes).is_err());
    }
}

/// A fuzz target has found that a length of five bytes, where three are enough, was two more bytes for
/// elements: the value was decoded, and not again after it was encoded.
#[test]
fn a_number_that_is_longer_than_it_must_be_is_worth_no_element() {
    let units = |count: usize, surplus: usize| {
        let mut bytes = length(count as u64);
        for _ in 0..surplus {
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push(0);
        }
        decode_all::<Vec<()>>(&bytes).map(|units| units.len())
    };
    let most = MOST_EMPTY + 3;
    for surplus in 0..7 {
        assert_eq!(units(most, surplus), Ok(most), "{surplus}");
        assert!(units(most + 1, surplus).is_err(), "{surplus}");
    }
}

#[test]
fn elements_without_bytes_are_limited() {
    let start = Instant::now();
    let most = MOST_EMPTY as u64;
    let fits = decode_all::<Vec<()>>(&length(most));
    assert_eq!(fits.map(|units| units.len()), Ok(MOST_EMPTY));
    for lie in [most + 100, u64::MAX] {
        assert!(decode_all::<Vec<()>>(&length(lie)).is_err());
        assert!(decode_all::<HashMap<(), Unit>>(&length(lie)).is_err());
    }
    // Each inner sequence has a length of its own; together they are limited.
    let mut bytes = length(10_000);
    (0..10_000).for_each(|_| bytes.extend(length(u64::from(u32::MAX))));
    assert!(decode_all::<Vec<Vec<()>>>(&bytes).is_err());
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "it does not count on"
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    Next(Box<Chain>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Link {
    next: Option<Box<Link>>,
}

#[test]
fn values_are_nested_up_to_a_limit_and_not_to_the_end_of_the_stack() {
    let chain = |links: usize| {
        let mut bytes = vec![1; links];
        bytes.push(0);
        bytes
    };
    let most = MOST_NESTED as usize;
    // The end is nested in all of them.
    assert!(decode_all::<Chain>(&chain(most - 1)).is_ok());
    let why = decode_all::<Chain>(&chain(most)).unwrap_err().to_string();
    assert!(why.starts_with("values are nested too deep"), "{why}");
    let deep = 8 << 20;
    assert!(decode_all::<Chain>(&chain(deep)).is_err());
    assert!(decode_all::<Tree>(&vec![1; deep]).is_err());
    assert!(decode_all::<Link>(&vec![1; deep]).is_err());
}

#[test]
fn many_values_beside_each_other_are_not_nested() {
    let shapes = vec![Shape::Circle(1.0); 10_000];
    assert_eq!(decode_all(&encoded(&shapes)), Ok(shapes));
}

#[test]
fn types_that_ask_the_bytes_for_their_type_are_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    let bytes = encoded(&Untagged::Number(1));
    let why = decode_all::<Untagged>(&bytes).unwrap_err().to_string();
    assert!(why.contains("an encoding that names types"), "{why}");
    assert!(decode_all::<IgnoredAny>(&bytes).is_err());
}

/// A sequence of such sequences, which notes for how many elements room may be made at once.
struct Nest;

thread_local! {
    static ROOM: Cell<usize> = const { Cell::new(0) };
}

impl<'de> Deserialize<'de> for Nest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nests;
        impl<'de> Visitor<'de> for Nests {
            type Value = Nest;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a nest")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut nests: A) -> Result<Nest, A::Error> {
                ROOM.set(ROOM.get() + nests.size_hint().unwrap_or(0));
                while nests.next_element::<Nest>()?.is_some() {}
                Ok(Nest)
            }
        }
        deserializer.deserialize_seq(Nests)
    }
}

/// A fuzz target found that 76 bytes, each of which was a length in a sequence in another one, made
/// room for all of them at each level: 32 KiB were enough for 128 MiB.
#[test]
fn room_is_made_for_the_elements_of_a_message_once() {
    let lies = [100; 76];
    ROOM.set(0);
    assert!(decode_all::<Nest>(&lies).is_err());
    assert!(ROOM.get() <= lies.len(), "{}", ROOM.get());
    // What is there has its room: three nests, in each of which there are two, and so on.
    let honest = [3, 2, 0, 0, 1, 0, 0];
    ROOM.set(0);
    assert!(decode_all::<Nest>(&honest).is_ok());
    assert_eq!(ROOM.get(), honest.len() - 1);
}
