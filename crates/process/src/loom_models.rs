//! Loom models of the bell and of the ring, through all interleavings within the preemption bound. They
//! run the real code, on memory of one program.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-process --lib loom`

use std::sync::Arc;
use std::time::Duration;

use insula_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use insula_sync::{Condvar, Mutex};
use loom::thread;

use crate::bell::{Bell, Calls, Futex, Lookers, Stall, Word};
use crate::claim::Claim;
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
    lookers: Lookers,
    calls: Calls,
}

impl Side {
    fn new() -> Self {
        Self {
            kernel: Kernel::new(),
            word: AtomicU32::new(0),
            sleeps: AtomicU32::new(0),
            lookers: Lookers::default(),
            calls: Calls::default(),
        }
    }

    fn bell(&self) -> Bell<'_> {
        Bell::new(&self.word, &self.sleeps)
    }

    fn ring(&self) {
        self.bell().ring(&self.kernel);
    }

    fn sleep(&self, has_work: impl FnOnce() -> bool) {
        self.sleep_until(0, has_work);
    }

    fn sleep_until(&self, seen_calls: u32, has_work: impl FnOnce() -> bool) {
        let calls = (&self.calls, seen_calls);
        self.bell()
            .sleep(&self.kernel, &self.lookers, calls, None, has_work);
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
    fn new() -> Self {
        Self {
            tail: AtomicU64::new(0),
            head: AtomicU64::new(0),
            is_full: AtomicU32::new(0),
            words: [AtomicU64::new(0), AtomicU64::new(0)],
            writer: Side::new(),
            reader: Side::new(),
        }
    }

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
        let memory = Arc::new(Memory::new());
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

/// Input that one thread handles at a time, under the right to it: a sleeper that watches, and a thread
/// that looks by itself for a while. Both leave nothing behind.
struct Looked {
    side: Side,
    right: Claim,
    written: AtomicU32,
    read: AtomicU32,
}

impl Looked {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            side: Side::new(),
            right: Claim::default(),
            written: AtomicU32::new(0),
            read: AtomicU32::new(0),
        })
    }

    fn has_input(&self) -> bool {
        self.written.load(Ordering::Acquire) != self.read.load(Ordering::Relaxed)
    }

    /// Under the right. Returns whether there was something.
    fn take_all(&self) -> bool {
        let before = self.read.load(Ordering::Relaxed);
        while self.has_input() {
            let read = self.read.load(Ordering::Relaxed);
            self.read.store(read + 1, Ordering::Relaxed);
        }
        let has_read = self.read.load(Ordering::Relaxed) != before;
        if self.right.give_back() {
            self.side.calls.call(&self.side.kernel);
        }
        has_read
    }

    fn look(&self) -> bool {
        self.has_input() && self.right.take() && self.take_all()
    }

    fn look_last(&self) -> bool {
        let has_read = self.look();
        if self.has_input() {
            self.side.calls.call(&self.side.kernel);
        }
        has_read
    }

    /// Calls the sleeper only if it has read something itself, which the sleeper waits for.
    fn look_for_a_while(&self) {
        self.side.bell().begin_look(&self.side.lookers);
        let mut has_read = self.look();
        self.side.bell().end_look(&self.side.lookers);
        has_read |= self.look_last();
        if has_read {
            self.side.calls.call(&self.side.kernel);
        }
    }

    /// Watches until everything was read, by whomever.
    fn watch(&self, all: u32) {
        let mut seen = 0;
        loop {
            let is_elsewhere = !self.right.take_or_ask();
            if !is_elsewhere {
                self.take_all();
                if self.read.load(Ordering::Relaxed) == all {
                    return;
                }
            }
            self.side.sleep_until(seen, || {
                self.side.calls.count() != seen || !is_elsewhere && self.has_input()
            });
            seen = self.side.calls.count();
        }
    }
}

#[test]
fn input_beside_a_thread_that_looks_by_itself_is_read() {
    loom::model(|| {
        let looked = Looked::new();
        let writing = Arc::clone(&looked);
        let writer = thread::spawn(move || {
            writing.written.store(1, Ordering::Release);
            writing.side.ring();
        });
        let looking = Arc::clone(&looked);
        let looker = thread::spawn(move || looking.look_for_a_while());
        looked.watch(1);
        writer.join().unwrap();
        looker.join().unwrap();
    });
}

/// The sleep that was announced by a thread which has looked is ended by the bell, again and again.
#[test]
fn input_after_a_thread_has_looked_wakes_the_one_that_watches() {
    loom::model(|| {
        let looked = Looked::new();
        let writing = Arc::clone(&looked);
        let writer = thread::spawn(move || {
            writing.look_for_a_while();
            for number in 1..=2 {
                writing.written.store(number, Ordering::Release);
                writing.side.ring();
            }
        });
        looked.watch(2);
        writer.join().unwrap();
    });
}

/// Of two threads that leave, one finds the other reading. Everything is read, or the sleeper is woken.
#[test]
fn input_that_comes_as_two_threads_have_looked_is_read() {
    loom::model(|| {
        let looked = Looked::new();
        looked.side.bell().begin_look(&looked.side.lookers);
        looked.side.bell().begin_look(&looked.side.lookers);
        let leave = |looked: &Looked| {
            looked.side.bell().end_look(&looked.side.lookers);
            looked.look_last();
        };
        let (leaving, writing) = (Arc::clone(&looked), Arc::clone(&looked));
        let leaver = thread::spawn(move || leave(&leaving));
        let writer = thread::spawn(move || {
            for number in 1..=2 {
                writing.written.store(number, Ordering::Release);
                writing.side.ring();
            }
        });
        leave(&looked);
        writer.join().unwrap();
        leaver.join().unwrap();
        let is_woken =
            looked.side.word.load(Ordering::Relaxed) != 0 || looked.side.calls.count() != 0;
        assert!(is_woken || looked.read.load(Ordering::Relaxed) == 2);
    });
}

/// A frame that is longer than the ring is begun while a thread looks by itself, which leaves as room is
/// made. One of the two writes the rest, or the bell has rung for the sleeper, which would.
#[test]
fn a_frame_that_stalls_as_a_thread_leaves_is_written() {
    struct Stalled {
        memory: Memory,
        producer: Mutex<Producer>,
        stall: Stall,
    }
    impl Stalled {
        fn flush(&self) {
            let mut producer = self.producer.lock();
            let ring = self.memory.ring();
            while !producer.is_free() {
                match producer.write(ring).unwrap() {
                    Step::Moved => self.memory.reader.ring(),
                    Step::Nothing if self.stall.begin(|| producer.can_go_on(ring)) => {}
                    Step::Nothing => return,
                }
            }
            self.stall.end();
        }
    }
    loom::model(|| {
        let mut producer = Producer::default();
        producer.begin(Frame {
            bytes: (0..16).collect(),
            mark: 0,
        });
        let stalled = Arc::new(Stalled {
            memory: Memory::new(),
            producer: Mutex::new(producer),
            stall: Stall::default(),
        });
        let writer = &stalled.memory.writer;
        writer.bell().begin_look(&writer.lookers);
        let (leaving, reading) = (Arc::clone(&stalled), Arc::clone(&stalled));
        let leaver = thread::spawn(move || {
            let writer = &leaving.memory.writer;
            writer.bell().end_look(&writer.lookers);
            if leaving.stall.is_there() {
                leaving.flush();
            }
        });
        let reader = thread::spawn(move || {
            let (memory, mut consumer) = (&reading.memory, Consumer::default());
            let ring = memory.ring();
            while !consumer.has_input(ring) {
                memory.reader.sleep(|| consumer.has_input(ring));
            }
            let (_, room) = consumer.read(ring, 64).unwrap();
            if room == Room::Awaited {
                memory.writer.ring();
            }
        });
        stalled.flush();
        leaver.join().unwrap();
        reader.join().unwrap();
        let is_woken = writer.word.load(Ordering::Relaxed) != 0;
        assert!(is_woken || stalled.producer.lock().is_free());
    });
}
