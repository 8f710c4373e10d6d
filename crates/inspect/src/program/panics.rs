//! Panics of threads outside of isolates, of which no observer is told.
//!
//! The hook for panics is one for the process. It is set once, when the first inspector starts, and
//! calls the one that was there before. The logs of inspectors that are gone are forgotten.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Once, Weak};
use std::thread;

use insula_core::{Isolate, is_catching};
use insula_sync::Mutex;

use super::events::Log;

/// The logs that are told. Bounded by the inspectors, and those that were there before the last of them.
static LOGS: Mutex<Vec<Weak<Log>>> = Mutex::new(Vec::new());

thread_local! {
    /// The last panic of this thread that no log was told of here.
    static UNTOLD: Cell<Option<String>> = const { Cell::new(None) };
}

/// Has a log told of panics until it is dropped.
pub(super) fn tell(log: &Arc<Log>) {
    static HOOK: Once = Once::new();
    let mut logs = LOGS.lock();
    logs.retain(|log| log.strong_count() != 0);
    logs.push(Arc::downgrade(log));
    drop(logs);
    // While a thread panics it cannot set a hook. The next inspector tries again.
    if HOOK.is_completed() || thread::panicking() {
        return;
    }
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map(|it| format!(" at {it}"));
    let text = format!(
        "has panicked{}: {}",
        place.unwrap_or_default(),
        text.unwrap_or("its payload is no text")
    );
    // Of a panic in an isolate its observers are told, unless it is caught there. Under a lock the panic is
    // one of the library, which must not become a second one here.
    if Isolate::current().is_some() || is_catching() || insula_sync::holds_any() {
        // While the thread ends the cell is gone.
        let _ = UNTOLD.try_with(|untold| untold.set(Some(text)));
        return;
    }
    let text = format!("a thread outside of isolates {text}");
    let logs: Vec<_> = LOGS.lock().iter().filter_map(Weak::upgrade).collect();
    for log in logs {
        log.panicked(text.clone());
    }
}

/// Tells a log of the panic that unwinds this thread, if it has not been told yet: it is told of an
/// isolate's panic when that has unwound, which is too late for an inspector that the isolate owns.
pub(super) fn tell_of_unwinding(log: &Log) {
    let untold = UNTOLD.try_with(Cell::take).ok().flatten();
    if let Some(text) = untold.filter(|_| thread::panicking()) {
        log.panicked(format!("the owner of the inspector {text}"));
    }
}
