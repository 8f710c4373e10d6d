//! The parent's end of the shared memory and the socket of a worker, whose process lies.
#![no_main]

use std::sync::Arc;
use std::task::Waker;

use insula_fuzz::link::any_frame;
use insula_fuzz::samples::limits;
use insula_fuzz::service::FuzzedRequest;
use insula_fuzz::{Script, Steps, plant, within};
use insula_link::{Origin, Settings};
use insula_process::fuzzing::{Parent, Sent, Word};
use insula_rpc::wire::{Encoded, Hello, Link as _, Lost};
use libfuzzer_sys::fuzz_target;

/// The most bytes of a frame.
const MOST: usize = 1 << 13;

/// The bytes of a ring.
const RING: usize = 1 << 20;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| play(Script::new(input))
);

fn play(mut script: Script<'_>) {
    let parent = Parent::new().expect("there is memory");
    let settings = Settings {
        hello: Hello::of::<FuzzedRequest>(MOST),
        limits: limits(),
    };
    let origin = Arc::new(Origin::new(settings, Waker::noop().clone(), |_| {}));
    let mut tail = 0;
    while let Some(step) = script.kind() {
        match step {
            // A frame as it should be, or a length that lies.
            0 | 1 => {
                let (mark, bytes) = (script.byte(), script.bytes());
                let words: Vec<_> = bytes.chunks(8).map(word).collect();
                let len = match step {
                    0 => bytes.len() as u64,
                    _ => script.long() >> 16,
                };
                tail = parent.write(tail, len, mark.into(), &words);
            }
            2 => {
                let count = usize::from(script.byte()) % 17;
                let files: Vec<_> = (0..count).map(|_| file(&mut script)).collect();
                // The socket may be full.
                let _ = parent.send(&files);
            }
            3 => {
                let most = 2 * RING + script_cost();
                let read = within(most, || parent.read(MOST, |frame| take(&origin, frame)));
                if let Err(why) = read {
                    origin.lose(Lost::Incomplete, &why);
                    break;
                }
            }
            4 => {
                let (is_own, word) = (script.byte() & 1 == 0, script.byte());
                let word = match word {
                    0 => Word::Tail,
                    1 => Word::Head,
                    2 => Word::IsFull,
                    at => Word::Content(at.into()),
                };
                parent.lie(is_own, word, script.long());
            }
            5 => parent.lie_of_segments(script.long()),
            // The parent sends a call, with segments beside it.
            6 => {
                let _ = origin.open(any_frame(&mut script));
                parent.flush(origin.outbox());
            }
            7 => parent.flush(origin.outbox()),
            _ => {}
        }
    }
    origin.lose(Lost::Incomplete, "the script has ended");
    parent.flush(origin.outbox());
    assert!(origin.is_lost());
}

/// What frames of a round may cost beside their bytes: 64 of them are read at once.
fn script_cost() -> usize {
    64 * (MOST + 4_096)
}

fn take(origin: &Origin, frame: Encoded) {
    assert!(frame.bytes.len() <= MOST && frame.segments.len() <= 16);
    if !origin.is_lost() {
        let received = origin.receive(frame);
        assert!(received.is_ok() || origin.is_lost());
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

fn file(script: &mut Script<'_>) -> Sent {
    match script.byte() {
        0 => Sent::Null,
        // All that a segment needs.
        1 => Sent::Memory(script.short(), 0b1110),
        seals => Sent::Memory(script.short(), seals),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    use insula_rpc::wire::Frame;

    let hello = Frame::Hello(Hello::of::<FuzzedRequest>(MOST)).write().bytes;
    let greeted = || Steps::new().step(&[0, 0]).bytes(&hello).step(&[3]);
    let item = [&[38_u8][..], &[0; 8], &[5; 20]].concat();
    let beside = greeted()
        .step(&[2, 2, 1, 9, 0, 1, 0, 32, 0, 2])
        .bytes(&item)
        .step(&[3]);
    let unsealed = greeted()
        .step(&[2, 1, 6, 9, 0, 0, 1])
        .bytes(&item)
        .step(&[3]);
    let missing = greeted().step(&[0, 3]).bytes(&item).step(&[3]);
    let length = Steps::new()
        .step(&[1, 0])
        .bytes(&item)
        .long(8_000 << 16)
        .step(&[3, 3]);
    let called = greeted()
        .step(&[6, 2])
        .bytes(&item)
        .step(&[5])
        .long(7)
        .step(&[6, 1])
        .bytes(&item);
    let far = greeted().step(&[4, 0, 0]).long(u64::MAX).step(&[3]);
    [beside, unsealed, missing, length, called, far]
        .map(Steps::end)
        .into()
}
