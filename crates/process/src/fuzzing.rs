//! What the fuzz targets need of this crate: both ends of its memory, of which one is run by a script.
//! They are in `fuzz` at the root of the repository.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};

use insula_link::Outbox;
use insula_rpc::wire::Encoded;
use insula_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::carrier::{Carrier, Input};
use crate::entry::Assignment;
use crate::handles::Handles;
use crate::ring::{Consumer, Frame, Producer, Shared, Step};
use crate::shared::{Region, Side};

/// A ring of some words in plain memory, with both ends.
#[expect(
    missing_debug_implementations,
    reason = "it is for a fuzz target alone"
)]
pub struct Ring {
    tail: AtomicU64,
    head: AtomicU64,
    is_full: AtomicU32,
    words: Vec<AtomicU64>,
    producer: Producer,
    consumer: Consumer,
}

/// A word that the other process may write.
#[derive(Debug, Clone, Copy)]
pub enum Word {
    /// How many words were ever written.
    Tail,
    /// How many words were ever read.
    Head,
    /// Whether the writer waits.
    IsFull,
    /// The content at some place.
    Content(u16),
}

/// The other end has written over the positions.
#[derive(Debug)]
pub struct Corrupt;

impl Ring {
    /// Makes a ring of so many words, a power of two.
    pub fn new(words: usize) -> Self {
        Self {
            tail: AtomicU64::new(0),
            head: AtomicU64::new(0),
            is_full: AtomicU32::new(0),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            producer: Producer::default(),
            consumer: Consumer::default(),
        }
    }

    fn ends(&mut self) -> (Shared<'_>, &mut Producer, &mut Consumer) {
        let shared = Shared {
            tail: &self.tail,
            head: &self.head,
            is_full: &self.is_full,
            words: &self.words,
        };
        (shared, &mut self.producer, &mut self.consumer)
    }

    /// Begins with a frame, if the one before is written. Returns whether it is.
    pub fn begin(&mut self, bytes: Vec<u8>, mark: u16) -> bool {
        let is_free = self.producer.is_free();
        if is_free {
            self.producer.begin(Frame { bytes, mark });
        }
        is_free
    }

    /// Writes what there is room for. Returns whether words have moved.
    ///
    /// # Errors
    /// The other end has lied.
    pub fn write(&mut self) -> Result<bool, Corrupt> {
        let (shared, producer, _) = self.ends();
        let step = producer.write(shared).map_err(|_| Corrupt)?;
        Ok(step == Step::Moved)
    }

    /// Reads what is there. Returns a frame that is complete, and its mark.
    ///
    /// # Errors
    /// The other end has lied.
    pub fn read(&mut self, most: usize) -> Result<Option<(Vec<u8>, u16)>, Corrupt> {
        let (shared, _, consumer) = self.ends();
        let (frame, _room) = consumer.read(shared, most).map_err(|_| Corrupt)?;
        Ok(frame.map(|it| (it.bytes, it.mark)))
    }

    /// Writes a word, as a process that lies.
    pub fn lie(&mut self, word: Word, value: u64) {
        lie(self.ends().0, word, value);
    }
}

fn lie(ring: Shared<'_>, word: Word, value: u64) {
    let relaxed = Ordering::Relaxed;
    match word {
        Word::Tail => ring.tail.store(value, relaxed),
        Word::Head => ring.head.store(value, relaxed),
        Word::IsFull => ring.is_full.store(value as u32, relaxed),
        Word::Content(at) => ring.words[usize::from(at) % ring.words.len()].store(value, relaxed),
    }
}

/// The parent's end of the shared memory and of its socket, and all that a child can do to them.
#[derive(Debug)]
pub struct Parent {
    carrier: Carrier,
    /// The child's end of the socket, and its view of the memory.
    child: Handles,
    region: Region,
}

/// A file that a child sends.
#[derive(Debug, Clone, Copy)]
pub enum Sent {
    /// In memory, of some length, with some of the seals.
    Memory(u16, u8),
    /// None in memory.
    Null,
}

impl Parent {
    /// Makes both ends, as where a worker starts.
    ///
    /// # Errors
    /// The system has no memory or no descriptors.
    pub fn new() -> std::io::Result<Self> {
        let (region, memory) = Region::create()?;
        let (handles, socket) = Handles::pair(memory.as_fd())?;
        let (child, memory) = Handles::open(socket)?;
        Ok(Self {
            carrier: Carrier::new(region, handles, Side::Parent),
            child,
            region: Region::open(memory)?,
        })
    }

    /// Gives the frames that are there to `take`, of at most `most` bytes each. Returns whether there
    /// were words to read.
    ///
    /// # Errors
    /// The link is lost, for this reason.
    pub fn read(&self, most: usize, take: impl FnMut(Encoded)) -> Result<bool, String> {
        let input = self.carrier.read(most, take).map_err(|it| it.to_string())?;
        Ok(input == Input::Some)
    }

    /// Writes the frames of an outbox as far as there is room.
    pub fn flush(&self, outbox: &Outbox) {
        self.carrier.flush(outbox);
    }

    /// Writes a word of the ring that the child reads, or of the one that it writes.
    pub fn lie(&self, is_own: bool, word: Word, value: u64) {
        let side = if is_own { Side::Child } else { Side::Parent };
        lie(self.region.ring(side), word, value);
    }

    /// Writes the count of the segments that the child has taken.
    pub fn lie_of_segments(&self, taken: u64) {
        let flight = self.region.flight(Side::Parent, 0);
        flight.taken.store(taken, Ordering::Relaxed);
    }

    /// Writes a frame as a child does, if it fits into the ring of 131,072 words: `words` follow its
    /// first word. Returns the tail after it.
    pub fn write(&self, tail: u64, len: u64, mark: u16, words: &[u64]) -> u64 {
        let ring = self.region.ring(Side::Child);
        let first = u64::from(mark) << 48 | len;
        for (word, at) in std::iter::once(&first).chain(words).zip(tail..) {
            let at = at as usize % ring.words.len();
            ring.words[at].store(*word, Ordering::Relaxed);
        }
        let tail = tail + 1 + words.len() as u64;
        ring.tail.store(tail, Ordering::Release);
        tail
    }

    /// Sends files in one message, as a child does.
    ///
    /// # Errors
    /// The system has no memory, or the socket no room.
    pub fn send(&self, files: &[Sent]) -> std::io::Result<()> {
        let files: Vec<_> = files.iter().map(file).collect::<Result<_, _>>()?;
        let borrowed: Vec<_> = files.iter().map(OwnedFd::as_fd).collect();
        Ok(self.child.send_files(b"s", &borrowed)?)
    }
}

fn file(sent: &Sent) -> std::io::Result<OwnedFd> {
    match *sent {
        Sent::Null => Ok(File::open("/dev/null")?.into()),
        Sent::Memory(len, seals) => {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let mut file = File::from(memfd_create("insula-fuzz", flags)?);
            file.write_all(&vec![7; len.into()])?;
            fcntl_add_seals(&file, SealFlags::from_bits_truncate(seals.into()))?;
            Ok(file.into())
        }
    }
}

/// Reads what a parent says to a worker of itself. Returns the same text, if it is one.
pub fn assignment(text: &str) -> Option<String> {
    Assignment::of_text(text).map(|it| it.to_text())
}
