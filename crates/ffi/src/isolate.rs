//! Isolates whose entry is a C function.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use insula::Isolate;
use insula::control::ExitReason;
use insula::control::{ErrorPolicy, Priority};
use insula::isolate::Builder as IsolateBuilder;

use crate::abi::status::{Failure, Outcome, Status};
use crate::abi::types::{self, PortHandle, RawValue};
use crate::handle::{Bits, table};
use crate::object::Object;
use crate::port::PortObject;
use crate::raw::User;
use crate::value::Value;
use crate::value::view::deliver;
use crate::{callout, object, state};

/// The settings with which an isolate is started.
#[derive(Debug, Default)]
pub(crate) struct Spawning<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) flags: u32,
    pub(crate) on_exit: PortHandle,
    pub(crate) on_error: PortHandle,
}

/// The entry of an isolate, and what it needs.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) function: extern "C" fn(*mut c_void, *const RawValue) -> i32,
    pub(crate) user: User,
    pub(crate) message: Value,
    /// The isolate's handle, which must be filled before the entry runs.
    pub(crate) handle: Option<Bits>,
}

impl Entry {
    fn run(self) -> Result<(), String> {
        // The isolate may run before the call that spawns it has returned. From here on the data is
        // the library's, whatever that call returns.
        self.user.delivered();
        if let (Some(bits), Some(isolate)) = (self.handle, Isolate::current()) {
            table().fill(bits, Object::Isolate(isolate));
        }
        callout::entry(|| {
            deliver(self.message, |message| {
                (self.function)(self.user.data(), message)
            })
        })
    }
}

/// Starts an isolate.
pub(crate) fn spawn(spawning: &Spawning<'_>, entry: Entry) -> Result<Isolate, Failure> {
    let builder = builder(spawning)?;
    if spawning.flags & types::INSULA_SPAWN_PINNED == 0 {
        return Ok(builder.spawn(Entry::run, entry));
    }
    let run = |_, entry: Entry| {
        let result = entry.run();
        async move { result }
    };
    let spawned = builder.spawn_pinned(run, entry);
    spawned.map_err(|error| Failure::new(Status::OutOfResources, error.to_string()))
}

fn builder(spawning: &Spawning<'_>) -> Result<IsolateBuilder, Failure> {
    const ALL: u32 = types::INSULA_SPAWN_PAUSED
        | types::INSULA_SPAWN_ERRORS_NOT_FATAL
        | types::INSULA_SPAWN_PINNED;
    if spawning.flags & !ALL != 0 {
        return Err(Status::BadValue.into());
    }
    let mut builder = Isolate::builder().runtime(&state::runtime()?);
    if spawning.flags & types::INSULA_SPAWN_PAUSED != 0 {
        builder = builder.paused();
    }
    if spawning.flags & types::INSULA_SPAWN_ERRORS_NOT_FATAL != 0 {
        builder = builder.error_policy(ErrorPolicy::Continue);
    }
    if let Some(name) = spawning.name {
        builder = builder.name(name);
    }
    if spawning.on_exit != 0 {
        let port: Arc<PortObject> = object::find(spawning.on_exit)?;
        builder = builder.on_exit(port.sender(), exit_value);
    }
    if spawning.on_error != 0 {
        let port: Arc<PortObject> = object::find(spawning.on_error)?;
        builder = builder.on_error(&port.error_sender()?);
    }
    Ok(builder)
}

/// Returns the number of a reason.
pub(crate) fn exit_code(reason: &ExitReason) -> u32 {
    match reason {
        ExitReason::Finished => types::INSULA_EXIT_FINISHED,
        ExitReason::Exited => types::INSULA_EXIT_EXITED,
        ExitReason::Killed => types::INSULA_EXIT_KILLED,
        _ => types::INSULA_EXIT_FAILED,
    }
}

/// Returns the message that a port receives for the end of an isolate.
fn exit_value(reason: &ExitReason) -> Value {
    let code = Value::Int64(exit_code(reason).into());
    Value::Array(vec![code, Value::text(&reason.to_string())])
}

/// Makes `port` an exit listener, which receives `response`, or else the reason.
pub(crate) fn add_exit_listener(
    isolate: &Isolate,
    port: PortHandle,
    response: Option<Value>,
) -> Outcome {
    let port: Arc<PortObject> = object::find(port)?;
    isolate.add_exit_listener(port.sender(), |reason| {
        response.unwrap_or_else(|| exit_value(reason))
    });
    Ok(())
}

/// Removes an exit listener.
pub(crate) fn remove_exit_listener(isolate: &Isolate, port: PortHandle) -> Outcome {
    let port: Arc<PortObject> = object::find(port)?;
    isolate.remove_exit_listener(port.sender());
    Ok(())
}

/// Makes a port of the current isolate an error listener.
pub(crate) fn add_error_listener(isolate: &Isolate, port: PortHandle) -> Outcome {
    let port: Arc<PortObject> = object::find(port)?;
    isolate.add_error_listener(&port.error_sender()?);
    Ok(())
}

/// Removes an error listener.
pub(crate) fn remove_error_listener(isolate: &Isolate, port: PortHandle) -> Outcome {
    let port: Arc<PortObject> = object::find(port)?;
    // Not `error_sender`, which would open a port for errors only to find that nothing was added.
    if let Some(sender) = port.known_error_sender() {
        isolate.remove_error_listener(&sender);
    }
    Ok(())
}

/// Pings an isolate, which sends `response` to a port.
pub(crate) fn ping(
    isolate: &Isolate,
    port: PortHandle,
    response: Value,
    priority: Priority,
) -> Outcome {
    let port: Arc<PortObject> = object::find(port)?;
    isolate.ping_port(port.sender(), response, priority);
    Ok(())
}

/// Returns the priority of a number.
pub(crate) fn priority(number: u32) -> Result<Priority, Status> {
    match number {
        types::INSULA_PRIORITY_IMMEDIATE => Ok(Priority::Immediate),
        types::INSULA_PRIORITY_BEFORE_NEXT_EVENT => Ok(Priority::BeforeNextEvent),
        types::INSULA_PRIORITY_AS_EVENT => Ok(Priority::AsEvent),
        _ => Err(Status::BadValue),
    }
}

/// Waits for the end of an isolate.
pub(crate) fn wait(isolate: &Isolate, timeout: Option<Duration>) -> Result<ExitReason, Failure> {
    let _entered = state::runtime()?.enter();
    Ok(insula::sync::block_on_by(
        isolate.exited(),
        // Named as the one that ends the wait, so that an isolate that waits for itself or in a
        // cycle is refused.
        isolate.id(),
        timeout,
    )?)
}
