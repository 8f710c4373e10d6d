//! Moves frames between the ends of a link and the rings, in one of the two processes.

use std::fmt;
use std::time::Duration;

use insula_link::Outbox;
use insula_memory::Segment;
use insula_rpc::wire::{Encoded, Limits};
use insula_sync::atomic::AtomicU32;
use insula_sync::{Mutex, Rank};
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::{ClockId, clock_gettime};

use crate::bell::{Calls, Futex, Lookers, Stall, Word};
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
    /// Changed under the lock of `writer`.
    stall: Stall,
    /// Used by the thread that has the right to read.
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

/// The most frames that a thread takes before it looks at what else there is to do.
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
            stall: Stall::default(),
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
                let Some(frame) = outbox.take() else {
                    self.stall.end();
                    break Ok(());
                };
                writer.begin(frame);
            }
            match self.write(&mut writer, &mut sent) {
                Ok(Step::Moved) => has_moved = true,
                Ok(Step::Nothing) if self.stall.begin(|| self.has_room_again(&writer)) => {}
                Ok(Step::Nothing) => break Ok(()),
                Err(lost) => break Err(lost),
            }
        };
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

    /// Writes as much of a frame as there is room for.
    fn write(&self, writer: &mut Writer, sent: &mut Vec<Segment>) -> Result<Step, Lost> {
        match self.send_segments(writer, sent)? {
            Step::Moved => Ok(writer.producer.write(self.region.ring(self.side))?),
            Step::Nothing => Ok(Step::Nothing),
        }
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

    /// Gives frames that are there, of at most `most` bytes each, to `take`. For the thread that watches:
    /// it is called when another thread is done that reads at this moment.
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
        self.read_some(most, take)
    }

    /// A thread begins to look by itself.
    pub(crate) fn begin_look(&self) {
        self.region.bell(self.side).begin_look(&self.lookers);
    }

    /// Moves what can be moved at this moment, on a thread that looks by itself. Returns whether a frame
    /// was read.
    pub(crate) fn look(&self, outbox: &Outbox, most: usize, take: impl FnMut(Encoded)) -> bool {
        if self.stall.is_there() {
            self.flush(outbox);
        }
        if !self.seems_to_have_input() || !self.right.take() {
            return false;
        }
        match self.read_some(most, take) {
            Ok(input) => input == Input::Some,
            Err(lost) => {
                self.fail(lost);
                false
            }
        }
    }

    /// A thread looks by itself for the last time.
    pub(crate) fn end_look(&self, outbox: &Outbox, most: usize, take: impl FnMut(Encoded)) {
        self.region.bell(self.side).end_look(&self.lookers);
        self.look(outbox, most, take);
        if self.seems_to_have_input() {
            // Too much, or another thread reads, which may have looked for the last time as well.
            self.call();
        }
    }

    fn seems_to_have_input(&self) -> bool {
        let ring = self.region.ring(self.side.other());
        ring.seems_to_have_input()
    }

    /// Reads frames with the right to do so, which is given back. Not without an end: a child that writes
    /// all the time must not keep this thread.
    fn read_some(&self, most: usize, mut take: impl FnMut(Encoded)) -> Result<Input, Lost> {
        let _right = Right(self);
        let mut input = Input::Nothing;
        for _ in 0..AT_ONCE {
            let (step, frame) = self.read_one(most)?;
            if step == Step::Nothing {
                break;
            }
            input = Input::Some;
            frame.into_iter().for_each(&mut take);
        }
        Ok(input)
    }

    /// Reads as much of a frame as is there. Returns the frame once it is complete.
    fn read_one(&self, most: usize) -> Result<(Step, Option<Encoded>), Lost> {
        let mut reader = self.reader.lock();
        let ring = self.region.ring(self.side.other());
        if !reader.consumer.has_input(ring) {
            return Ok((Step::Nothing, None));
        }
        let (frame, room) = reader.consumer.read(ring, most)?;
        if room == Room::Awaited {
            self.region.bell(self.side.other()).ring(&System);
        }
        let Some(Frame { bytes, mark }) = frame else {
            return Ok((Step::Moved, None));
        };
        let segments = self.take_segments(&mut reader, mark)?;
        Ok((Step::Moved, Some(Encoded { bytes, segments })))
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

    /// Sleeps until there may be something to do. Where the last look found that another thread reads, it
    /// sleeps until that thread is done.
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
        has_input || self.has_room_again(&self.writer.lock())
    }

    /// The reader has made room for a frame that is partly written.
    fn has_room_again(&self, writer: &Writer) -> bool {
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
