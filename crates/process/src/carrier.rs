//! Moves frames between the ends of a link and the rings, in one of the two processes.

use std::fmt;
use std::time::Duration;

use insula_link::Outbox;
use insula_memory::Segment;
use insula_rpc::wire::{Encoded, Limits};
use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use insula_sync::{Mutex, Rank};
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::{ClockId, clock_gettime};

use crate::bell::{Calls, Futex, Lookers, Word};
use crate::claim::Claim;
use crate::flight::Flight;
use crate::handles::{Handles, Lost, MOST_FLYING, MOST_SEGMENTS};
use crate::ring::{Consumer, Frame, Producer, Room, Step};
use crate::shared::{Region, Side};

/// The shared memory, and the side of this process.
pub(crate) struct Carrier {
    region: Region,
    handles: Handles,
    side: Side,
    /// One thread writes at a time, whichever has something to send.
    writer: Mutex<Writer>,
    /// A frame is partly written, and waits for room. Written under the lock of `writer`. Relaxed
    /// elsewhere: whoever misses it is told by the bell.
    is_stalled: AtomicBool,
    /// Used by who has the right to read.
    reader: Mutex<Reader>,
    right: Claim,
    /// The threads that look by themselves.
    lookers: Lookers,
    /// The link is of no use any more, for this reason. Found by the thread that watches. Locked alone.
    fault: Mutex<Option<Lost>>,
    /// What has changed in this process that the thread which watches has to look at.
    called: Calls,
}

#[derive(Default)]
struct Writer {
    producer: Producer,
    /// The segments of the frame that is being written, until they are sent.
    segments: Vec<Segment>,
    /// The segments that were ever sent.
    sent: u64,
}

/// What reads.
#[derive(Default)]
struct Reader {
    consumer: Consumer,
    /// The segments that were ever taken.
    taken: u64,
}

/// The thread that watches over the link: it reads while no other thread looks, and sees to what is not
/// read.
#[derive(Default)]
pub(crate) struct Watcher {
    /// The changes that it has looked at.
    called: u32,
}

/// What has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Some,
    Nothing,
    /// Another thread reads at this moment.
    Elsewhere,
}

/// The most frames that a thread of a pool takes before it looks at its own work.
const AT_ONCE: usize = 64;

/// Frames are taken out of the outbox under it, so that they keep their order.
const WRITER: Rank = Rank::new(60, "the writer of a ring");

impl Carrier {
    pub(crate) fn new(region: Region, handles: Handles, side: Side) -> Self {
        Self {
            region,
            handles,
            side,
            writer: Mutex::ranked(Writer::default(), WRITER),
            is_stalled: AtomicBool::new(false),
            reader: Mutex::new(Reader::default()),
            right: Claim::default(),
            lookers: Lookers::default(),
            fault: Mutex::new(None),
            called: Calls::default(),
        }
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Writes frames, as long as there are any and there is room.
    pub(crate) fn flush(&self, outbox: &Outbox) {
        let mut writer = self.writer.lock();
        let mut has_moved = false;
        // Dropped after the lock: the last owner of a segment unmaps it.
        let mut sent = Vec::new();
        let written = loop {
            if writer.producer.is_free() {
                match outbox.take() {
                    Some(frame) => writer.begin(frame),
                    None => break Ok(()),
                }
            }
            match self.send_segments(&mut writer, &mut sent) {
                Ok(Step::Moved) => {}
                Ok(Step::Nothing) => break Ok(()),
                Err(lost) => break Err(lost),
            }
            match writer.producer.write(self.region.ring(self.side)) {
                Ok(Step::Moved) => has_moved = true,
                Ok(Step::Nothing) => break Ok(()),
                Err(corrupt) => break Err(corrupt.into()),
            }
        };
        let is_stalled = !writer.producer.is_free();
        self.is_stalled.store(is_stalled, Ordering::Relaxed);
        drop(writer);
        drop(sent);
        if has_moved {
            self.region.bell(self.side.other()).ring(&System);
        }
        if let Err(lost) = written {
            self.fail(lost);
        }
    }

    /// Has the thread that watches end the link.
    fn fail(&self, lost: Lost) {
        self.fault.lock().get_or_insert(lost);
        self.call();
    }

    /// Sends the segments of the frame that is being written, if it has any and there is room for
    /// them. If there is not, the reader rings when there is.
    fn send_segments(&self, writer: &mut Writer, sent: &mut Vec<Segment>) -> Result<Step, Lost> {
        let count = writer.segments.len() as u64;
        if count == 0 {
            return Ok(Step::Moved);
        }
        if !self.flight(self.side).admits(count, writer.sent)? {
            return Ok(Step::Nothing);
        }
        self.handles.send(&writer.segments)?;
        writer.sent += count;
        sent.append(&mut writer.segments);
        Ok(Step::Moved)
    }

    /// The segments that a side sends.
    fn flight(&self, of: Side) -> Flight<'_> {
        self.region.flight(of, MOST_FLYING)
    }

    /// Writes a frame that nothing follows, as far as there is room. For a side that ends.
    pub(crate) fn send_last(&self, frame: Encoded) {
        let mut writer = self.writer.lock();
        if writer.producer.is_free() {
            writer.begin(frame);
            let _ = writer.producer.write(self.region.ring(self.side));
        }
        drop(writer);
        self.region.bell(self.side.other()).ring(&System);
    }

    /// Gives every frame that is there, of at most `most` bytes, to `take`. For the thread that watches:
    /// it is called when a thread is done that reads at this moment.
    ///
    /// # Errors
    /// The other side has written over the positions, or segments could not be passed on.
    pub(crate) fn read(&self, most: usize, take: impl FnMut(Encoded)) -> Result<Input, Lost> {
        if let Some(lost) = self.fault.lock().take() {
            return Err(lost);
        }
        if !self.right.take_or_ask() {
            return Ok(Input::Elsewhere);
        }
        let right = Right(self);
        let read = self.read_some(most, usize::MAX, take);
        drop(right);
        read
    }

    /// As [`read`](Self::read), of not too many frames, for a thread that looks by itself. Returns whether
    /// there was something.
    pub(crate) fn look(&self, most: usize, take: impl FnMut(Encoded)) -> bool {
        if !self.seems_to_have_input() || !self.right.take() {
            return false;
        }
        let right = Right(self);
        let read = self.read_some(most, AT_ONCE, take);
        drop(right);
        match read {
            Ok(input) => input == Input::Some,
            Err(lost) => {
                self.fail(lost);
                false
            }
        }
    }

    /// The last look of a thread that looks by itself, after the [end](Self::end_look).
    pub(crate) fn look_last(&self, most: usize, take: impl FnMut(Encoded)) {
        self.look(most, take);
        if self.seems_to_have_input() {
            // Too much, or another thread reads, which may have looked for the last time as well.
            self.call();
        }
    }

    fn seems_to_have_input(&self) -> bool {
        let ring = self.region.ring(self.side.other());
        ring.seems_to_have_input()
    }

    fn read_some(
        &self,
        most: usize,
        frames: usize,
        mut take: impl FnMut(Encoded),
    ) -> Result<Input, Lost> {
        let mut input = Input::Nothing;
        for _ in 0..frames {
            let Some(frame) = self.read_one(most)? else {
                break;
            };
            input = Input::Some;
            frame.into_iter().for_each(&mut take);
        }
        Ok(input)
    }

    /// Reads as much of a frame as is there. Returns `None` if nothing is, and the frame once it is
    /// complete.
    fn read_one(&self, most: usize) -> Result<Option<Option<Encoded>>, Lost> {
        let mut reader = self.reader.lock();
        let ring = self.region.ring(self.side.other());
        if !reader.consumer.has_input(ring) {
            return Ok(None);
        }
        let (frame, room) = reader.consumer.read(ring, most)?;
        if room == Room::Awaited {
            self.region.bell(self.side.other()).ring(&System);
        }
        let Some(Frame { bytes, mark }) = frame else {
            return Ok(Some(None));
        };
        let segments = self.take_segments(&mut reader, mark)?;
        Ok(Some(Some(Encoded { bytes, segments })))
    }

    /// Takes the segments of a frame, so many of them.
    fn take_segments(&self, reader: &mut Reader, count: u16) -> Result<Vec<Segment>, Lost> {
        let count = usize::from(count);
        if count == 0 {
            return Ok(Vec::new());
        }
        if count > MOST_SEGMENTS {
            return Err(Lost::Corrupt);
        }
        let segments = self.handles.receive(count)?;
        reader.taken += count as u64;
        let other = self.side.other();
        if self.flight(other).took(reader.taken) == Room::Awaited {
            self.region.bell(other).ring(&System);
        }
        Ok(segments)
    }

    /// Has the thread that watches look at what has changed.
    pub(crate) fn call(&self) {
        self.called.call(&System);
    }

    /// Sleeps until there may be something to do. If another thread has `input`, until that one is done.
    pub(crate) fn wait(&self, watcher: &mut Watcher, input: Input, most: Option<Duration>) {
        let has_work = || {
            let is_called = self.called.count() != watcher.called;
            is_called || input != Input::Elsewhere && self.has_work()
        };
        let calls = (&self.called, watcher.called);
        let bell = self.region.bell(self.side);
        bell.sleep(&System, &self.lookers, calls, most, has_work);
        watcher.called = self.called.count();
    }

    fn has_work(&self) -> bool {
        let ring = self.region.ring(self.side.other());
        let has_input = self.reader.lock().consumer.has_input(ring);
        has_input || self.has_room_again()
    }

    /// A thread begins to look by itself.
    pub(crate) fn begin_look(&self) {
        self.region.bell(self.side).begin_look(&self.lookers);
    }

    /// A thread looks by itself no more, except for one last time after this.
    pub(crate) fn end_look(&self) {
        self.region.bell(self.side).end_look(&self.lookers);
    }

    /// Returns whether a flush may go on with a frame that is partly written.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed)
    }

    /// The reader has made room for a frame that is partly written.
    fn has_room_again(&self) -> bool {
        let writer = self.writer.lock();
        match writer.segments.len() as u64 {
            0 => writer.producer.can_go_on(self.region.ring(self.side)),
            // Also to find out that the other side has written over its count.
            count => self.flight(self.side).has_room(count, writer.sent) != Ok(false),
        }
    }
}

/// The right to read, until it is dropped.
struct Right<'a>(&'a Carrier);

impl Drop for Right<'_> {
    fn drop(&mut self) {
        if self.0.right.give_back() {
            self.0.call();
        }
    }
}

impl Writer {
    fn begin(&mut self, frame: Encoded) {
        let Encoded { bytes, segments } = frame;
        // No more than may go beside a frame, since the link has this limit.
        let mark = segments.len() as u16;
        self.producer.begin(Frame { bytes, mark });
        self.segments = segments;
    }
}

/// Returns the limits of messages with at most so many bytes, and of those of their segments.
pub(crate) fn limits((most, most_beside): (usize, u64)) -> Limits {
    Limits::bytes(most).segments(MOST_SEGMENTS, most_beside)
}

/// Returns the most bytes of a frame whose value has at most `most`: what a frame has beside it is
/// bounded too.
pub(crate) fn most_of_frame(most: usize) -> usize {
    most.saturating_add(1 << 19)
}

/// The futexes of the system.
pub(crate) struct System;

/// The longest sleep where the system does not wait for two words at once.
const NAP: Duration = Duration::from_millis(20);

impl Futex for System {
    fn wait(&self, shared: Word<'_>, own: Word<'_>, most: Option<Duration>) {
        let words = [
            wait_for(shared, futex::WaitFlags::SIZE_U32),
            wait_for(own, futex::WaitFlags::SIZE_U32 | futex::WaitFlags::PRIVATE),
        ];
        // The system wants the time at which the sleep is over.
        let end = most.and_then(|most| {
            let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).ok()?;
            (now + most).try_into().ok()
        });
        let flags = futex::WaitvFlags::empty();
        match futex::waitv(&words, flags, end.as_ref(), ClockId::Monotonic) {
            // One of them has changed, a signal has come or the time has passed: each is a reason to
            // look again.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
            // Linux before 5.16, or one that forbids it.
            Err(_) => {
                let nap = most.map_or(NAP, |most| most.min(NAP)).try_into().ok();
                let Word { word, seen } = shared;
                let _ = futex::wait(word, futex::Flags::empty(), seen, nap.as_ref());
            }
        }
    }

    fn wake(&self, word: &AtomicU32) {
        // Of a word that exists it cannot fail.
        let _ = futex::wake(word, futex::Flags::empty(), 1);
    }

    fn wake_own(&self, word: &AtomicU32) {
        let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
    }
}

fn wait_for(Word { word, seen }: Word<'_>, flags: futex::WaitFlags) -> futex::Wait {
    let mut wait = futex::Wait::new();
    wait.val = seen.into();
    wait.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
    wait.flags = flags;
    wait
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}
