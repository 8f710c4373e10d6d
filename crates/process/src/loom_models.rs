//! Loom models of the bell and of the ring, through all interleavings within the preemption bound. They
//! run the real code, on memory of one program.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-process --lib loom`

use std::sync::Arc;
use std::time::Duration;

use insula_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use insula_sync::{Condvar, Mutex};
use loom::thread;

use crate::bell::{Bell, Futex};
use crate::ring::{Consumer, Frame, Producer, Room, Shared, Step};

/// A futex of one program: the word is looked at under a lock, as the kernel does it.
struct Kernel {
    lock: Mutex<()>,
    woken: Condvar,
}

impl Kernel {
    fn new() -> Self {
        Self {
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }
}

impl Futex for Kernel {
    fn wait(&self, word: &AtomicU32, seen: u32, _most: Option<Duration>) {
        let mut lock = self.lock.lock();
        while word.load(Ordering::Relaxed) == seen {
            lock = self.woken.wait(lock);
        }
    }

    fn wake(&self, _word: &AtomicU32) {
        let _lock = self.lock.lock();
        self.woken.notify_all();
    }
}

/// The bell of one side.
struct Side {
    kernel: Kernel,
    word: AtomicU32,
    sleeps: AtomicU32,
}

impl Side {
    fn new() -> Self {
        Self {
            kernel: Kernel::new(),
            word: AtomicU32::new(0),
            sleeps: AtomicU32::new(0),
        }
    }

    fn ring(&self) {
        Bell::new(&self.word, &self.sleeps).ring(&self.kernel);
    }

    fn sleep(&self, has_work: impl FnOnce() -> bool) {
        Bell::new(&self.word, &self.sleeps).sleep(&self.kernel, None, has_work);
    }
}

/// A sleeper that misses the ring would sleep for ever, which loom reports.
#[test]
fn a_bell_that_rings_is_heard() {
    loom::model(|| {
        let side = Arc::new((Side::new(), AtomicU32::new(0)));
        let ringer = Arc::clone(&side);
        let ringing = thread::spawn(move || {
            for number in 1..=2 {
                ringer.1.store(number, Ordering::Release);
                ringer.0.ring();
            }
        });
        let mut seen = 0;
        while seen < 2 {
            side.0.sleep(|| side.1.load(Ordering::Acquire) != seen);
            seen = side.1.load(Ordering::Acquire);
        }
        ringing.join().unwrap();
    });
}

struct Memory {
    tail: AtomicU64,
    head: AtomicU64,
    is_full: AtomicU32,
    words: [AtomicU64; 2],
    writer: Side,
    reader: Side,
}

impl Memory {
    fn ring(&self) -> Shared<'_> {
        Shared {
            tail: &self.tail,
            head: &self.head,
            is_full: &self.is_full,
            words: &self.words,
        }
    }
}

/// A frame that is longer than the ring: each side waits for the other one, and neither for ever.
#[test]
fn a_frame_that_is_longer_than_the_ring_passes_it() {
    loom::model(|| {
        let memory = Arc::new(Memory {
            tail: AtomicU64::new(0),
            head: AtomicU64::new(0),
            is_full: AtomicU32::new(0),
            words: [AtomicU64::new(0), AtomicU64::new(0)],
            writer: Side::new(),
            reader: Side::new(),
        });
        let frame: Vec<u8> = (0..16).collect();
        let (writing, expected) = (Arc::clone(&memory), frame.clone());
        let writer = thread::spawn(move || {
            let ring = writing.ring();
            let mut producer = Producer::default();
            producer.begin(Frame {
                bytes: frame,
                mark: 0,
            });
            while !producer.is_free() {
                match producer.write(ring).unwrap() {
                    Step::Moved => writing.reader.ring(),
                    Step::Nothing => writing.writer.sleep(|| producer.can_go_on(ring)),
                }
            }
        });
        let ring = memory.ring();
        let mut consumer = Consumer::default();
        let read = loop {
            if !consumer.has_input(ring) {
                memory.reader.sleep(|| consumer.has_input(ring));
            }
            let (read, room) = consumer.read(ring, 64).unwrap();
            if room == Room::Awaited {
                memory.writer.ring();
            }
            if let Some(read) = read {
                break read;
            }
        };
        assert_eq!(read.bytes, expected);
        writer.join().unwrap();
    });
}
