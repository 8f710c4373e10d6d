//! Values out of bytes: `wire::decode`.
#![no_main]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use insula_fuzz::service::Tree;
use insula_fuzz::{plant, within};
use insula_memory::Segment;
use insula_rpc::wire::{Hello, Never, decode, encode};
use insula_rpc::{Metadata, TraceContext};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

type Numbers = (
    (u8, i8, u16, i16, u32, i32),
    (u64, i64, u128, i128),
    (f32, f64, char, bool),
);

type Table = BTreeMap<String, Vec<Option<i64>>>;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        let Some((kind, bytes)) = input.split_first() else {
            return;
        };
        match kind {
            0 => read::<Vec<u64>>(bytes),
            1 => read::<String>(bytes),
            2 => read::<Tree>(bytes),
            3 => read::<Table>(bytes),
            4 => read::<Numbers>(bytes),
            5 => read::<Metadata>(bytes),
            6 => read::<TraceContext>(bytes),
            7 => read::<Vec<((), [(); 3])>>(bytes),
            // Nanoseconds that are more than a second are carried, which may lengthen each number of seconds.
            8 => read_longer::<(Duration, Option<Duration>)>(bytes, 2),
            9 => read::<Hello>(bytes),
            10 => read::<Result<Cow<'static, str>, Never>>(bytes),
            11 => read::<Vec<Vec<Vec<Vec<u8>>>>>(bytes),
            12 => read::<(Segment, u8)>(bytes),
            13 => {
                // Written in another order each time.
                let _ = within(limit(bytes), || decode::<HashMap<u16, String>>(bytes));
            }
            _ => {}
        }
    }
);

/// The most that may be allocated: so many bytes for each byte, since one byte may be a whole element
/// of a sequence, and the texts of an error.
fn limit(bytes: &[u8]) -> usize {
    bytes.len() * 128 + 1_024
}

fn read<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8]) {
    read_longer::<T>(bytes, 0);
}

/// Reads a value that may take so many bytes more when it is written.
fn read_longer<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8], more: usize) {
    let Ok(value) = within(limit(bytes), || decode::<T>(bytes)) else {
        return;
    };
    let written = encode(&value).expect("what was read can be written");
    let most = bytes.len() + more;
    assert!(written.len() <= most, "numbers have a shortest form");
    let again: T = decode(&written).expect("what was written can be read");
    assert_eq!(encode(&again), Ok(written.clone()));
    // The decoder of the encoding's own crate reads the same.
    let other: T = postcard::from_bytes(bytes).expect("it is no other encoding");
    assert_eq!(encode(&other), Ok(written), "{value:?} {other:?}");
}

fn seeds() -> Vec<Vec<u8>> {
    fn of<T: Serialize>(kind: u8, value: T) -> Vec<u8> {
        let mut seed = vec![kind];
        seed.extend(encode(&value).expect("it can be written"));
        seed
    }
    let deep = |mut tree: Tree, depth: u32| {
        for _ in 0..depth {
            tree = Tree::Node(vec![Tree::Leaf(7), tree]);
        }
        tree
    };
    let name = "a name".to_owned();
    let mut metadata = Metadata::new();
    metadata.insert("key", "value").expect("it is valid");
    metadata
        .insert_bytes("key-bin", [1, 2])
        .expect("it is valid");
    let table: Table = [(name.clone(), vec![Some(-1), None])].into();
    let numbers: Numbers = (
        (1, -1, 300, -300, 70_000, -70_000),
        (1 << 40, -(1 << 40), 1 << 100, -(1 << 100)),
        (1.5, -2.5, 'ä', true),
    );
    vec![
        of(0, vec![0_u64, 1, 300, u64::MAX]),
        of(1, "text of more than one byte: ä"),
        of(2, deep(Tree::Named { name: name.clone() }, 3)),
        of(2, deep(Tree::Only(Box::new(Tree::Nothing)), 40)),
        of(3, table),
        of(4, numbers),
        of(5, metadata),
        of(6, TraceContext::new(7, 9, true)),
        of(7, vec![((), [(); 3]); 40]),
        of(8, (Duration::from_millis(1_500), Some(Duration::MAX))),
        of(
            9,
            Hello {
                protocol: 1,
                contract: name.clone(),
                version: 2,
                schema: 3,
                most: 4,
            },
        ),
        of(10, Ok::<_, ()>(name.clone())),
        of(11, vec![vec![vec![vec![1_u8, 2], vec![]]]]),
        of(12, (Tree::Only(Box::new(Tree::Leaf(3))), 7_u8)),
        of(13, BTreeMap::from([(1_u16, name.clone()), (2, name)])),
    ]
}
