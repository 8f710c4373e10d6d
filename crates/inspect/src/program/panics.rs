//! Panics of threads outside of isolates, of which no observer is told.
//!
//! The hook for panics is one for the process. It is set once, when the first inspector starts, and
//! calls the one that was there before. The logs of inspectors that are gone are forgotten.

use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Once, Weak};
use std::thread;

use insula_core::Isolate;
use insula_sync::Mutex;

use super::events::Log;

/// The logs that are told. Bounded by the inspectors, and those that were there before the last of them.
static LOGS: Mutex<Vec<Weak<Log>>> = Mutex::new(Vec::new());

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
    // Of a panic in an isolate its observers are told. Under a lock the panic is one of the library, which
    // must not become a second one here.
    if Isolate::current().is_some() || insula_sync::holds_any() {
        return;
    }
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map(|it| format!(" at {it}"));
    let text = format!(
        "a thread outside of isolates has panicked{}: {}",
        place.unwrap_or_default(),
        text.unwrap_or("its payload is no text")
    );
    let logs: Vec<_> = LOGS.lock().iter().filter_map(Weak::upgrade).collect();
    for log in logs {
        log.panicked(text.clone());
    }
}
