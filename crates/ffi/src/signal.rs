//! Wake-ups from signal handlers: the one way into the library that takes no lock.
//!
//! # Protocol
//! Each open signal has a *word* in a static array. The word is its handle and one bit, which is
//! set while a wake-up is *pending*. A raise sets the bit if the word is still that handle, and
//! then *rings*: it writes a byte to a socket that stays open as long as the process, so its
//! descriptor cannot be reused for something else. A thread reads the socket. After each read it
//! takes all pending bits, and posts a message for each.
//!
//! So a wake-up is followed by a delivery: the bit is set before the byte is written, and the
//! thread reads the byte, then takes the bits, then posts. Wake-ups that come before the bit is
//! taken share one message. If the socket is full, it holds bytes that the thread has not read, so
//! the thread will check the bits later. If a port is full, the bit is set again, and the thread
//! retries.
//!
//! # Locks
//! A lock protects the targets of the words. Signals are opened and closed, and pending bits are
//! taken, under it: so no bit is taken for a signal and delivered for its successor in the same
//! slot. A raise accesses the word alone. Messages are posted outside of the lock.
//!
//! # Start and shutdown
//! The first signal creates the socket and the thread, which stay: the thread sleeps while nothing
//! is raised. A shutdown sets the phase and then closes all signals under the lock. [`open`] checks
//! the phase under the same lock, so no signal is opened after that.

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

/// At least as many as operating systems have signals.
const SLOTS: usize = 64;
const INDEX_BITS: u32 = SLOTS.trailing_zeros();
/// The type bits of a signal's handle. No [`Kind`](crate::object::Kind) has this number.
const MARK: u64 = 0x7e << KIND_SHIFT;
const KIND_SHIFT: u32 = 56;
/// The bit for a pending wake-up, which is 0 in every handle.
const PENDING: u64 = 1 << 63;
/// The time after which the thread retries a full port.
const AGAIN: Duration = Duration::from_millis(10);

/// The handle of each open signal, with the bit for a pending wake-up; 0 in vacant slots.
static WORDS: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];
/// The end of the socket that raises write to.
static BELL: OnceLock<UnixStream> = OnceLock::new();
static SIGNALS: Mutex<Signals> = Mutex::new(Signals {
    targets: [(0, 0); SLOTS],
    opened: 0,
});

struct Signals {
    /// The port that the wake-ups of each open signal are posted to, and the number that they post.
    targets: [(PortHandle, i64); SLOTS],
    /// The number of signals opened so far, which makes each handle unique.
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

/// Creates the socket, and starts the thread that reads it. Called under the lock.
fn start() -> std::io::Result<()> {
    let (bell, reader) = UnixStream::pair()?;
    // Only this end: a raise must not wait in a signal handler, and the thread has to.
    bell.set_nonblocking(true)?;
    std::thread::Builder::new()
        .name("insula-signals".to_owned())
        .spawn(move || read(reader))?;
    // Not set yet, because the caller holds the lock.
    let _ = BELL.set(bell);
    Ok(())
}

fn read(mut reader: UnixStream) {
    // The bytes say nothing but that there is something to do, so many are answered by one
    // delivery.
    let mut bytes = [0; 256];
    loop {
        match reader.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Unreachable: the end in `BELL` stays open.
            Err(_) | Ok(0) => return,
            Ok(_) => {
                while !deliver() {
                    // Each retry delivers what was raised meanwhile, so a full port delays other
                    // signals no longer than this.
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }
}

/// Posts a message for every pending wake-up, and returns whether all ports had room.
fn deliver() -> bool {
    let mut pending = Vec::new();
    let signals = SIGNALS.lock();
    for (word, target) in WORDS.iter().zip(signals.targets) {
        // Acquire; pairs with the Release in `mark`: the delivery sees what the raising thread
        // wrote before it raised the signal.
        let before = word.fetch_and(!PENDING, Ordering::AcqRel);
        if before & PENDING != 0 {
            pending.push((before & !PENDING, target));
        }
    }
    drop(signals);
    let mut had_room = true;
    for (bits, (port, number)) in pending {
        if let Err(failure) = port::post(port, Value::Int64(number)) {
            // A closed port gets no message, and a closed signal needs none.
            had_room &= failure.status() != Status::Full || !mark(bits);
        }
    }
    had_room
}

/// Marks a wake-up as pending, and returns whether the signal is open. Safe in signal handlers.
fn mark(bits: SignalHandle) -> bool {
    let word = &WORDS[(bits % SLOTS as u64) as usize];
    // Release; pairs with the Acquire in `deliver`.
    let marked = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
        (now & !PENDING == bits).then_some(now | PENDING)
    });
    marked.is_ok()
}

/// Wakes the thread. Safe in signal handlers.
fn ring() {
    if let Some(bell) = BELL.get() {
        // The code that the signal has interrupted may be about to read `errno`.
        let before = errno::errno();
        // If the socket is full, the thread has not read all of it.
        let _ = rustix::io::write(bell, &[0]);
        errno::set_errno(before);
    }
}

/// Raises a signal. Safe in signal handlers: takes no lock, allocates nothing, stores no error
/// text.
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
    // A raise at the same time either came first, and its wake-up is dropped, or finds another word
    // and fails.
    word.store(0, Ordering::Relaxed);
    Ok(())
}

/// Closes all signals, because the runtime shuts down.
pub(crate) fn close_all() {
    let _signals = SIGNALS.lock();
    for word in &WORDS {
        word.store(0, Ordering::Relaxed);
    }
}

/// Returns the number of open signals.
pub(crate) fn live() -> u64 {
    let is_open = |word: &&AtomicU64| word.load(Ordering::Relaxed) != 0;
    WORDS.iter().filter(is_open).count() as u64
}
