//! Moves frames between the ends of a link and the rings, in one of the two processes.

use std::fmt;
use std::time::{Duration, Instant};

use insula_link::Outbox;
use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use insula_sync::{Mutex, Rank};
use rustix::thread::futex;

use crate::bell::Futex;
use crate::ring::{Consumer, Corrupt, Producer, Room, Step};
use crate::shared::{Region, Side};

/// The shared memory, and the side of this process.
pub(crate) struct Carrier {
    region: Region,
    side: Side,
    /// One thread writes at a time, whichever has something to send.
    producer: Mutex<Producer>,
    /// The other side has written over the positions.
    is_corrupt: AtomicBool,
    /// Something has changed that the thread which reads has to look at.
    is_called: AtomicBool,
}

/// Frames are taken out of the outbox under it, so that they keep their order.
const PRODUCER: Rank = Rank::new(60, "the producer of a ring");

impl Carrier {
    pub(crate) fn new(region: Region, side: Side) -> Self {
        Self {
            region,
            side,
            producer: Mutex::ranked(Producer::default(), PRODUCER),
            is_corrupt: AtomicBool::new(false),
            is_called: AtomicBool::new(false),
        }
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Writes frames, as long as there are any and there is room.
    pub(crate) fn flush(&self, outbox: &Outbox) {
        let mut producer = self.producer.lock();
        let mut has_moved = false;
        let written = loop {
            if producer.is_free() {
                match outbox.take() {
                    Some(frame) => producer.begin(frame),
                    None => break Ok(()),
                }
            }
            match producer.write(self.region.ring(self.side)) {
                Ok(Step::Moved) => has_moved = true,
                Ok(Step::Nothing) => break Ok(()),
                Err(corrupt) => break Err(corrupt),
            }
        };
        drop(producer);
        if has_moved {
            self.region.bell(self.side.other()).ring(&System);
        }
        if written.is_err() {
            self.is_corrupt.store(true, Ordering::Release);
            self.call();
        }
    }

    /// Writes a frame that nothing follows, as far as there is room. For a side that ends.
    pub(crate) fn send_last(&self, frame: Vec<u8>) {
        let mut producer = self.producer.lock();
        if producer.is_free() {
            producer.begin(frame);
            let _ = producer.write(self.region.ring(self.side));
        }
        drop(producer);
        self.region.bell(self.side.other()).ring(&System);
    }

    /// Gives every frame that is there, of at most `most` bytes, to `take`.
    ///
    /// # Errors
    /// The other side has written over the positions.
    pub(crate) fn read(
        &self,
        consumer: &mut Consumer,
        most: usize,
        mut take: impl FnMut(Vec<u8>),
    ) -> Result<Step, Corrupt> {
        if self.is_corrupt.load(Ordering::Acquire) {
            return Err(Corrupt);
        }
        let mut step = Step::Nothing;
        while self.has_input(consumer) {
            let (frame, room) = consumer.read(self.region.ring(self.side.other()), most)?;
            step = Step::Moved;
            if room == Room::Awaited {
                self.region.bell(self.side.other()).ring(&System);
            }
            frame.into_iter().for_each(&mut take);
        }
        Ok(step)
    }

    fn has_input(&self, consumer: &Consumer) -> bool {
        consumer.has_input(self.region.ring(self.side.other()))
    }

    /// Has the thread that reads look at what has changed.
    pub(crate) fn call(&self) {
        self.is_called.store(true, Ordering::Release);
        self.region.bell(self.side).ring(&System);
    }

    /// Waits until there may be something to do: looks for it for a time, and then sleeps.
    pub(crate) fn wait(&self, consumer: &Consumer, spin: Duration, most: Option<Duration>) {
        self.wait_for_work(consumer, spin, most);
        // Acquire pairs with `call`: what has changed is seen by the look that follows.
        self.is_called.swap(false, Ordering::AcqRel);
    }

    fn wait_for_work(&self, consumer: &Consumer, spin: Duration, most: Option<Duration>) {
        let has_work = || self.has_work(consumer);
        let begin = Instant::now();
        // The clock is read once in a while, since that takes longer than a look.
        while begin.elapsed() < spin {
            for _ in 0..32 {
                if has_work() {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        self.region.bell(self.side).sleep(&System, most, has_work);
    }

    fn has_work(&self, consumer: &Consumer) -> bool {
        self.has_input(consumer) || self.is_called.load(Ordering::Acquire) || self.has_room_again()
    }

    /// The reader has made room for a frame that is partly written.
    fn has_room_again(&self) -> bool {
        let ring = self.region.ring(self.side);
        self.producer.lock().can_go_on(ring)
    }
}

/// Returns the most bytes of a frame whose value has at most `most`: what a frame has beside it is
/// bounded too.
pub(crate) fn most_of_frame(most: usize) -> usize {
    most.saturating_add(1 << 19)
}

/// The futex of the system, shared between processes.
pub(crate) struct System;

impl Futex for System {
    fn wait(&self, word: &AtomicU32, seen: u32, most: Option<Duration>) {
        let most = most.and_then(|it| it.try_into().ok());
        // It has changed, a signal has come or the time has passed: each is a reason to look again.
        let _ = futex::wait(word, futex::Flags::empty(), seen, most.as_ref());
    }

    fn wake(&self, word: &AtomicU32) {
        // Of a word that exists it cannot fail.
        let _ = futex::wake(word, futex::Flags::empty(), 1);
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}
