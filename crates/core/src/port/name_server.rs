//! Ports by name, for a whole process.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use insula_sync::{Mutex, Rank};

use crate::isolate::ExitCall;
use crate::port::{PortId, SendPort};

/// A process-wide table of ports by name, through which isolates find each other without passing
/// a port along.
///
/// An entry counts as a sender: it keeps the port, and so its isolate, alive until it is
/// removed. It is removed automatically when the port's isolate ends, and ignored once the port is
/// closed.
///
/// ```
/// use insula_core::{Isolate, IsolateNameServer, ReceivePort};
/// let port = Isolate::spawn_with_port(|port: ReceivePort<u32>| port.listen(drop));
/// IsolateNameServer::register("numbers", &port)?;
/// let found = IsolateNameServer::look_up::<u32>("numbers");
/// assert_eq!(found, Some(port));
/// assert!(IsolateNameServer::remove("numbers"));
/// # Ok::<(), insula_core::NameTaken>(())
/// ```
#[derive(Debug)]
pub enum IsolateNameServer {}

/// The error of registering a name that belongs to another open port, which keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameTaken {
    /// The name that is taken.
    pub name: Arc<str>,
}

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a port is registered under the name '{}' already",
            self.name
        )
    }
}

impl std::error::Error for NameTaken {}

/// An entry of the table.
struct Registration {
    id: PortId,
    /// A `SendPort` of some type.
    port: Box<dyn Any + Send>,
    is_closed: fn(&dyn Any) -> bool,
    /// Removes the entry when the port's isolate ends.
    exit_call: ExitCall,
}

impl Registration {
    /// Makes an entry, or returns `None` if the port is closed or its isolate has ended: such an
    /// entry would never be found, and nothing would remove it.
    fn new<T: Send + 'static>(name: &Arc<str>, port: &SendPort<T>) -> Option<Self> {
        if port.is_closed() {
            return None;
        }
        let (name, id) = (name.clone(), port.id());
        let exit_call = port.when_isolate_ends(move || {
            forget(&name, id);
        })?;
        Some(Self {
            id: port.id(),
            port: Box::new(port.clone()),
            is_closed: |port| {
                port.downcast_ref::<SendPort<T>>()
                    .is_none_or(SendPort::is_closed)
            },
            exit_call,
        })
    }

    /// Drops an entry whose isolate has not ended. Returns whether its port was open.
    fn cancel(self) -> bool {
        let was_open = !self.is_closed();
        self.exit_call.cancel();
        was_open
    }

    fn is_closed(&self) -> bool {
        (self.is_closed)(&*self.port)
    }
}

/// The table. Bounded by the names of open ports, since it is swept.
static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(|| {
    const RANK: Rank = Rank::new(10, "the table of names");
    Mutex::ranked(Names::default(), RANK)
});

#[derive(Default)]
struct Names {
    table: HashMap<Arc<str>, Registration>,
    /// The number of names at which those of closed ports are removed.
    sweep_at: usize,
}

impl Names {
    /// Removes the entries whose ports are closed, if there are twice as many entries as after the
    /// last time. So each registration pays for a constant number of looks. (A port that is closed
    /// knows nothing of its name.)
    fn sweep(&mut self) -> Vec<Registration> {
        if self.table.len() < self.sweep_at {
            return Vec::new();
        }
        let closed = self.table.extract_if(|_, entry| entry.is_closed());
        let closed = closed.map(|(_, entry)| entry).collect();
        self.sweep_at = 2 * self.table.len();
        closed
    }
}

impl IsolateNameServer {
    /// Registers `port` under a name. A closed port is not registered, which is no error.
    ///
    /// # Errors
    /// Returns [`NameTaken`] if another open port has the name, which keeps it.
    pub fn register<T: Send + 'static>(
        name: impl Into<Arc<str>>,
        port: &SendPort<T>,
    ) -> Result<(), NameTaken> {
        let name = name.into();
        let mut names = NAMES.lock();
        let taken = names.table.get(&name);
        if taken.is_some_and(|taken| !taken.is_closed()) {
            return Err(NameTaken { name });
        }
        // Under the table's lock, so that the exit call, if it runs at once, removes an entry that
        // is already in the table.
        let before = match Registration::new(&name, port) {
            Some(registration) => names.table.insert(name, registration),
            // The name is free or that of a closed port, whose entry is removed all the same.
            None => names.table.remove(&name),
        };
        let mut removed = names.sweep();
        // Entries are dropped after the lock is released: one may hold the last sender of its port.
        drop(names);
        removed.extend(before);
        for before in removed {
            before.cancel();
        }
        Ok(())
    }

    /// Returns the port of that name, or `None` if there is none, if it has been closed, or if its
    /// messages are of another type.
    pub fn look_up<T: Send + 'static>(name: &str) -> Option<SendPort<T>> {
        let names = NAMES.lock();
        let found = names.table.get(name)?;
        if found.is_closed() {
            return None;
        }
        found.port.downcast_ref::<SendPort<T>>().cloned()
    }

    /// Removes a name. Returns whether an open port had it.
    pub fn remove(name: &str) -> bool {
        remove_if(name, |_| true).is_some_and(Registration::cancel)
    }
}

fn remove_if(name: &str, condition: impl Fn(&Registration) -> bool) -> Option<Registration> {
    let mut names = NAMES.lock();
    let registered = names.table.get(name);
    registered.filter(|registered| condition(registered))?;
    names.table.remove(name)
}

/// Removes the entry of a port whose isolate has ended. Another port may have taken over the
/// name meanwhile, so the entry is compared by `id`.
fn forget(name: &str, id: PortId) {
    // Not `cancel`: the exit call is the caller.
    drop(remove_if(name, |registered| registered.id == id));
}

#[cfg(all(test, not(loom)))]
mod tests;
