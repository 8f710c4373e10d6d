//! Wake-ups that a signal handler sends: the one way into the library that takes no lock.
//!
//! # Protocol
//! Each open signal has a *word* in a static array, which is its handle, and one bit that says
//! whether a wake-up is *pending*. Who raises sets the bit if the word is still that handle, and
//! then *rings*: writes a byte to a socket that stays open as long as the process, so no
//! descriptor can have come to stand for something else. A thread reads the socket. Whenever it
//! has read something it takes all pending bits, and posts a message for each.
//!
//! So a wake-up is followed by a delivery: the bit is set before the byte is written, the thread
//! looks at all bits after it has read the byte, and posts after it has taken the bit. Wake-ups
//! that come before the bit is taken share one message. If the socket is full there are bytes that
//! the thread has not read, and it will look at the bits then. If a port is full the bit is set
//! again, and the thread comes back to it.
//!
//! # Locks
//! What the words mean is behind a lock, under which signals are opened and closed, and pending
//! bits are taken: so none is taken for a signal and delivered for its successor in the same slot.
//! Who raises looks at the word alone. Messages are posted outside of the lock.
//!
//! # Start and shutdown
//! Socket and thread are made with the first signal, and stay: the thread sleeps while nothing is
//! raised. A shutdown closes all signals after the phase was set, which [`open`] looks at under
//! the same lock, so none is opened behind it.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU64, Ordering};

use crate::abi::status::{Failure, INSULA_OK, Outcome, Status, StatusCode};
use crate::abi::types::{PortHandle, SignalHandle};
use crate::handle::table;
use crate::object::Object;
use crate::value::Value;
use crate::{port, state};

/// No fewer than operating systems have signals.
const SLOTS: usize = 64;
const INDEX_BITS: u32 = SLOTS.trailing_zeros();
/// No kind of other handle has this number.
const MARK: u64 = 0x7e << KIND_SHIFT;
const KIND_SHIFT: u32 = 56;
/// No handle has this bit.
const PENDING: u64 = 1 << 63;
/// How long the thread leaves a full port alone.
const AGAIN: Duration = Duration::from_millis(10);

/// The handle of each open signal, and 0 elsewhere; with the bit for a pending wake-up.
static WORDS: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];
/// Where to ring.
static BELL: OnceLock<UnixStream> = OnceLock::new();
static SIGNALS: Mutex<Signals> = Mutex::new(Signals {
    targets: [(0, 0); SLOTS],
    opened: 0,
});

struct Signals {
    /// Where the wake-ups of each open signal go, and as which number.
    targets: [(PortHandle, i64); SLOTS],
    /// How many were opened so far: no two have the same handle.
    opened: u64,
}

/// Opens a signal whose wake-ups post `number` to a port.
pub(crate) fn open(port: PortHandle, number: i64) -> Result<SignalHandle, Failure> {
    if !matches!(table().find(port)?, Object::Port(_) | Object::NativePort(_)) {
        return Err(Status::WrongType.into());
    }
    let mut signals = SIGNALS.lock();
    state::require_running()?;
    // Relaxed, here and below: words are opened and closed under the lock.
    let vacant = WORDS
        .iter()
        .position(|word| word.load(Ordering::Relaxed) == 0);
    let Some(index) = vacant else {
        let text = format!("{SLOTS} signals are open, which is the most");
        return Err(Failure::new(Status::OutOfResources, text));
    };
    if BELL.get().is_none() {
        start().map_err(|error| {
            let text = format!("no socket or thread for signals: {error}");
            Failure::new(Status::OutOfResources, text)
        })?;
    }
    signals.opened += 1;
    let bits = MARK | signals.opened << INDEX_BITS | index as u64;
    signals.targets[index] = (port, number);
    WORDS[index].store(bits, Ordering::Relaxed);
    Ok(bits)
}

/// Makes the socket, and starts the thread that reads it. Under the lock.
fn start() -> std::io::Result<()> {
    let (bell, reader) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    std::thread::Builder::new()
        .name("insula-signals".to_owned())
        .spawn(move || read(reader))?;
    // There is none yet, by the lock.
    let _ = BELL.set(bell);
    Ok(())
}

fn read(mut reader: UnixStream) {
    let mut bytes = [0; 256];
    loop {
        match reader.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The other end stays open.
            Err(_) | Ok(0) => return,
            Ok(_) => {
                while !deliver() {
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }
}

/// Posts for every pending wake-up, and tells whether all ports had room.
fn deliver() -> bool {
    let mut pending = Vec::new();
    let signals = SIGNALS.lock();
    for (word, target) in WORDS.iter().zip(signals.targets) {
        // Acquire pairs with the Release in `mark`: what was done before the signal was raised
        // comes before the delivery.
        let before = word.fetch_and(!PENDING, Ordering::AcqRel);
        if before & PENDING != 0 {
            pending.push((before & !PENDING, target));
        }
    }
    drop(signals);
    let mut had_room = true;
    for (bits, (port, number)) in pending {
        if let Err(failure) = port::post(port, Value::Int64(number)) {
            // A port that is closed gets nothing any more. A signal that is closed needs nothing.
            had_room &= failure.status() != Status::Full || !mark(bits);
        }
    }
    had_room
}

/// Notes a wake-up of a signal, and tells whether that is open. Allowed in signal handlers.
fn mark(bits: SignalHandle) -> bool {
    let word = &WORDS[(bits % SLOTS as u64) as usize];
    let marked = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
        (now & !PENDING == bits).then_some(now | PENDING)
    });
    marked.is_ok()
}

/// Wakes the thread, once. Allowed in signal handlers.
fn ring() {
    if let Some(bell) = BELL.get() {
        let before = errno::errno();
        // If it is full the thread has not read it all.
        let _ = rustix::io::write(bell, &[0]);
        errno::set_errno(before);
    }
}

/// Raises a signal. Allowed in signal handlers: takes no lock, allocates nothing, leaves no text.
pub(crate) fn raise(bits: SignalHandle) -> StatusCode {
    if let Err(status) = state::require_same_process() {
        return status.code();
    }
    if bits >> KIND_SHIFT != MARK >> KIND_SHIFT {
        return Status::BadHandle.code();
    }
    if !mark(bits) {
        return Status::StaleHandle.code();
    }
    ring();
    INSULA_OK
}

/// Closes a signal.
pub(crate) fn close(bits: SignalHandle) -> Outcome {
    if bits >> KIND_SHIFT != MARK >> KIND_SHIFT {
        table().find(bits)?;
        return Err(Status::WrongType.into());
    }
    let _signals = SIGNALS.lock();
    let word = &WORDS[(bits % SLOTS as u64) as usize];
    if word.load(Ordering::Relaxed) & !PENDING != bits {
        return Err(Status::StaleHandle.into());
    }
    word.store(0, Ordering::Relaxed);
    Ok(())
}

/// Closes all signals: the runtime shuts down.
pub(crate) fn close_all() {
    let _signals = SIGNALS.lock();
    for word in &WORDS {
        word.store(0, Ordering::Relaxed);
    }
}

/// How many are open.
pub(crate) fn live() -> u64 {
    let is_open = |word: &&AtomicU64| word.load(Ordering::Relaxed) != 0;
    WORDS.iter().filter(is_open).count() as u64
}
