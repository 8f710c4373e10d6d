//! Ports by name, for a whole process.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use insula_sync::Mutex;

use crate::isolate::ExitCall;
use crate::port::{PortId, SendPort};

/// A process-wide table of ports by name, so that isolates find each other without having been
/// introduced.
///
/// An entry counts as a sender: it keeps the port, and so its isolate, alive until it is
/// removed. It goes by itself when the port's isolate ends, and is passed over once the port
/// is closed.
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

/// The name belongs to another open port, which keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameTaken {
    /// The name.
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

struct Registration {
    id: PortId,
    /// A `SendPort` of some type.
    port: Box<dyn Any + Send>,
    is_closed: fn(&dyn Any) -> bool,
    /// Removes the entry when the port's isolate ends.
    exit_call: ExitCall,
}

impl Registration {
    /// `None` if the port is closed, or its isolate has ended: the entry could not be found, and
    /// would stay.
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

    /// Ends an entry before its isolate does. Returns whether its port was open.
    fn cancel(self) -> bool {
        let was_open = !self.is_closed();
        self.exit_call.cancel();
        was_open
    }

    fn is_closed(&self) -> bool {
        (self.is_closed)(&*self.port)
    }
}

/// Bounded by what the process registers.
static NAMES: LazyLock<Mutex<HashMap<Arc<str>, Registration>>> = LazyLock::new(Mutex::default);

impl IsolateNameServer {
    /// Gives `port` a name. A port that is closed gets none.
    ///
    /// # Errors
    /// If another open port has it; that one keeps it.
    pub fn register<T: Send + 'static>(
        name: impl Into<Arc<str>>,
        port: &SendPort<T>,
    ) -> Result<(), NameTaken> {
        let name = name.into();
        let mut names = NAMES.lock();
        if names.get(&name).is_some_and(|taken| !taken.is_closed()) {
            return Err(NameTaken { name });
        }
        // Under the table's lock, so that a `remove` which finds the entry finds its call too.
        let before = match Registration::new(&name, port) {
            Some(registration) => names.insert(name, registration),
            // It takes the name from a port that is closed, too.
            None => names.remove(&name),
        };
        drop(names);
        if let Some(before) = before {
            before.cancel();
        }
        Ok(())
    }

    /// The port of that name; `None` if there is none, if it has been closed, or if its
    /// messages are of another type.
    pub fn look_up<T: Send + 'static>(name: &str) -> Option<SendPort<T>> {
        let names = NAMES.lock();
        let found = names.get(name)?;
        if found.is_closed() {
            return None;
        }
        found.port.downcast_ref::<SendPort<T>>().cloned()
    }

    /// Takes a name back. Returns whether an open port had it.
    pub fn remove(name: &str) -> bool {
        remove_if(name, |_| true).is_some_and(Registration::cancel)
    }
}

fn remove_if(name: &str, condition: impl Fn(&Registration) -> bool) -> Option<Registration> {
    let mut names = NAMES.lock();
    names.get(name).filter(|registered| condition(registered))?;
    names.remove(name)
}

/// The port's isolate has ended. Another port may have got its name just before.
fn forget(name: &str, id: PortId) {
    // The call at its end is this one, so there is nothing to cancel.
    drop(remove_if(name, |registered| registered.id == id));
}

#[cfg(all(test, not(loom)))]
mod tests;
