//! A ring in shared memory, whose other end follows the protocol at first, and then writes anything.
#![no_main]

use std::collections::VecDeque;

use insula_fuzz::{Script, Steps, plant, within};
use insula_process::fuzzing::{Ring, Word, assignment};
use libfuzzer_sys::fuzz_target;

/// The words of the ring.
const WORDS: usize = 16;

/// The most bytes of a frame: more than the ring has.
const MOST: usize = 1 << 10;

/// The first byte of an input that is the text in which a worker is told what it is.
const TEXT: u8 = 0xff;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        if let Some((&TEXT, text)) = input.split_first() {
            let text = String::from_utf8_lossy(text);
            // Numbers lose their signs and zeros, once.
            if let Some(written) = assignment(&text) {
                assert_eq!(assignment(&written).as_ref(), Some(&written));
            }
            return;
        }
        play(Script::new(input));
    }
);

fn play(mut script: Script<'_>) {
    let mut ring = Ring::new(WORDS);
    let mut sent = VecDeque::new();
    let mut is_honest = true;
    while let Some(step) = script.kind() {
        match step {
            0 => {
                let (bytes, mark) = (script.bytes(), script.short());
                let bytes = bytes[..bytes.len().min(MOST)].to_vec();
                if ring.begin(bytes.clone(), mark) {
                    sent.push_back((bytes, mark));
                }
            }
            1 => match ring.write() {
                Ok(_) => {}
                Err(_) => {
                    assert!(!is_honest, "it has not lied");
                    return;
                }
            },
            2 => {
                // What is there, and not what a length says.
                let room = WORDS * 8;
                match within(4 * (room + MOST), || ring.read(MOST)) {
                    Ok(Some(frame)) => {
                        assert!(frame.0.len() <= MOST);
                        if is_honest {
                            assert_eq!(Some(frame), sent.pop_front());
                        }
                    }
                    Ok(None) => {}
                    Err(_) => {
                        assert!(!is_honest, "it has not lied");
                        return;
                    }
                }
            }
            3 => {
                is_honest = false;
                let word = match script.byte() {
                    0 => Word::Tail,
                    1 => Word::Head,
                    2 => Word::IsFull,
                    at => Word::Content(at.into()),
                };
                ring.lie(word, script.long());
            }
            _ => {}
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let frame = |steps: Steps, len: usize| steps.step(&[0]).bytes(&vec![7; len]).step(&[3, 0]);
    let mut honest = Steps::new();
    for len in [0, 1, 8, 9, 100, 300] {
        honest = frame(honest, len).step(&[1, 2, 1, 2, 1, 2, 1, 2]);
    }
    // A length that is larger than what follows, and positions that are far away.
    let length = Steps::new()
        .step(&[3, 16])
        .long(3 << 48 | 900)
        .step(&[3, 0])
        .long(1);
    let length = length.step(&[2, 3, 0]).long(16).step(&[2, 2]);
    let tail = frame(Steps::new(), 20)
        .step(&[1, 3, 0])
        .long(u64::MAX)
        .step(&[2]);
    let head = frame(Steps::new(), 20)
        .step(&[1, 3, 1])
        .long(5)
        .step(&[1, 2]);
    let text = b"\xff17 4 1000 60000 1048576 1099511627776 3 1073741824 0 Sums of numbers";
    vec![
        honest.end(),
        length.end(),
        tail.end(),
        head.end(),
        text.to_vec(),
    ]
}
