//! The native ports of the process, as a list.

use std::sync::LazyLock;
use std::time::Duration;

use insula_sync::Mutex;

use super::listed::{List, look_at};

/// A native port at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NativePortSnapshot {
    /// Its number, which no other native port of this process has. Later ones have larger numbers.
    pub number: u64,
    /// Its name.
    pub name: Box<str>,
    /// Whether it takes messages.
    pub is_open: bool,
    /// Messages that have not started.
    pub waiting: usize,
    /// Messages that are being handled.
    pub running: usize,
    /// Its threads.
    pub threads: usize,
    /// The most messages that it handles at once.
    pub max_concurrent: usize,
    /// Messages that have started.
    pub started_total: u64,
    /// The mean time of its last messages, except for those on virtual time.
    pub mean_time: Duration,
}

/// A native port, whatever its messages are.
pub(crate) trait ListedPort: Send + Sync {
    /// Returns what the port does now.
    fn snapshot(&self) -> NativePortSnapshot;
}

pub(crate) static PORTS: List<dyn ListedPort> = LazyLock::new(Mutex::default);

/// Returns the native ports of the process in the order of their opening, at most `most`. One that is
/// closed is there as long as a thread handles its messages or a handle is left.
pub fn native_ports(most: usize) -> Vec<NativePortSnapshot> {
    look_at(&PORTS, most, ListedPort::snapshot)
}
