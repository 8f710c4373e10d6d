//! The native ports of the process, as a list.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use insula_sync::Mutex;

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

/// The ports that have not been dropped. Bounded by them: each removes itself.
static PORTS: LazyLock<Mutex<Ports>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Ports {
    /// The number of the last port.
    last: u64,
    /// By their numbers.
    listed: BTreeMap<u64, Weak<dyn ListedPort>>,
}

/// Returns the native ports of the process in the order of their opening, at most `most`. One that is
/// closed is there as long as a thread handles its messages or a handle is left.
pub fn native_ports(most: usize) -> Vec<NativePortSnapshot> {
    let ports = PORTS.lock();
    // Held until the lock is released: the last holder of a port drops it, which takes the lock.
    let held: Vec<_> = ports
        .listed
        .values()
        .filter_map(Weak::upgrade)
        .take(most)
        .collect();
    drop(ports);
    held.iter().map(|port| port.snapshot()).collect()
}

/// The entry of a port in the list, until it is dropped.
pub(crate) struct Listing(u64);

impl Listing {
    /// Lists the port that `make` makes, which keeps the listing.
    pub(crate) fn of<P: ListedPort + 'static>(make: impl FnOnce(Self) -> P) -> Arc<P> {
        let mut ports = PORTS.lock();
        ports.last += 1;
        let number = ports.last;
        drop(ports);
        let port = Arc::new(make(Self(number)));
        let listed: Weak<P> = Arc::downgrade(&port);
        PORTS.lock().listed.insert(number, listed);
        port
    }

    pub(crate) fn number(&self) -> u64 {
        self.0
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let gone = PORTS.lock().listed.remove(&self.0);
        drop(gone);
    }
}
