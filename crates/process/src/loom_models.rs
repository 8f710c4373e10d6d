//! Loom models of the bell and of the ring, through all interleavings within the preemption bound. They
//! run the real code, on memory of one program.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-process --lib loom`

use std::sync::Arc;
use std::time::Duration;

use insula_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use insula_sync::{Condvar, Mutex};
use loom::thread;

use crate::bell::{Bell, Calls, Futex, Word};
use crate::flight::Flight;
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
    fn wait(&self, shared: Word<'_>, own: Word<'_>, _most: Option<Duration>) {
        let mut lock = self.lock.lock();
        let is_same = |it: Word<'_>| it.word.load(Ordering::Relaxed) == it.seen;
        while is_same(shared) && is_same(own) {
            lock = self.woken.wait(lock);
        }
    }

    fn wake(&self, _word: &AtomicU32) {
        let _lock = self.lock.lock();
        self.woken.notify_all();
    }

    fn wake_own(&self, word: &AtomicU32) {
        self.wake(word);
    }
}

/// The bell of one side.
struct Side {
    kernel: Kernel,
    word: AtomicU32,
    sleeps: AtomicU32,
    calls: Calls,
}

impl Side {
    fn new() -> Self {
        Self {
            kernel: Kernel::new(),
            word: AtomicU32::new(0),
            sleeps: AtomicU32::new(0),
            calls: Calls::default(),
        }
    }

    fn ring(&self) {
        Bell::new(&self.word, &self.sleeps).ring(&self.kernel);
    }

    fn sleep(&self, has_work: impl FnOnce() -> bool) {
        self.sleep_until(0, has_work);
    }

    fn sleep_until(&self, seen_calls: u32, has_work: impl FnOnce() -> bool) {
        let calls = (&self.calls, seen_calls);
        Bell::new(&self.word, &self.sleeps).sleep(&self.kernel, calls, None, has_work);
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

/// A process that calls its own sleeper, while the other one takes back every announcement of sleep and
/// rings no bell.
#[test]
fn a_call_is_heard_whatever_is_written_to_the_bell() {
    loom::model(|| {
        let side = Arc::new((Side::new(), AtomicU32::new(0)));
        let (caller, liar) = (Arc::clone(&side), Arc::clone(&side));
        let calling = thread::spawn(move || {
            caller.1.store(1, Ordering::Relaxed);
            caller.0.calls.call(&caller.0.kernel);
        });
        let lying = thread::spawn(move || liar.0.sleeps.store(0, Ordering::Relaxed));
        let mut seen = 0;
        while seen == 0 {
            side.0.sleep_until(seen, || side.0.calls.count() != seen);
            seen = side.0.calls.count();
        }
        assert_eq!(side.1.load(Ordering::Relaxed), 1);
        calling.join().unwrap();
        lying.join().unwrap();
    });
}

/// One segment may be on its way, and two are sent, each beside a frame of its own. A frame is read before
/// its segment is taken.
#[test]
fn a_writer_that_waits_for_segments_to_be_taken_is_told() {
    loom::model(|| {
        struct Way {
            taken: AtomicU64,
            is_awaited: AtomicU32,
            sent: AtomicU64,
            writer: Side,
            reader: Side,
        }
        impl Way {
            fn flight(&self) -> Flight<'_> {
                Flight {
                    taken: &self.taken,
                    is_awaited: &self.is_awaited,
                    most: 1,
                }
            }
        }
        let way = Arc::new(Way {
            taken: AtomicU64::new(0),
            is_awaited: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            writer: Side::new(),
            reader: Side::new(),
        });
        let writing = Arc::clone(&way);
        let writer = thread::spawn(move || {
            for sent in 0..2 {
                while !writing.flight().admits(1, sent).unwrap() {
                    let has_room = || writing.flight().has_room(1, sent).unwrap();
                    writing.writer.sleep(has_room);
                }
                writing.sent.store(sent + 1, Ordering::Release);
                writing.reader.ring();
            }
        });
        for taken in 1..=2 {
            while way.sent.load(Ordering::Acquire) < taken {
                way.reader
                    .sleep(|| way.sent.load(Ordering::Acquire) >= taken);
            }
            if way.flight().took(taken) == Room::Awaited {
                way.writer.ring();
            }
        }
        writer.join().unwrap();
    });
}
