//! The locations of panics: only the hook sees the location, and only `catch_unwind` sees the
//! payload.
//!
//! The two are matched by what both see: the isolate, the payload's type, and its text. A payload
//! that was resumed with `resume_unwind` has called no hook, so it must not get the location of an
//! earlier panic, of another isolate or of this one. Several locations are kept at a time when a
//! destructor's panic is contained during the unwinding of another panic.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::panic::PanicHookInfo;

use crate::memory::Current;

/// The number of locations that a thread keeps. Locations of panics that user code caught itself
/// are never taken, and make room for later ones.
const KEPT: usize = 4;

thread_local! {
    /// Bounded by [`KEPT`]; the latest is the last.
    static ORIGINS: Cell<Vec<Origin>> = const { Cell::new(Vec::new()) };
}

struct Origin {
    subject: Subject,
    location: String,
}

/// The properties that distinguish one panic from another.
#[derive(PartialEq, Eq)]
struct Subject {
    isolate: Option<u64>,
    kind: TypeId,
    text: Option<String>,
}

impl Subject {
    fn of(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        Self {
            isolate: Current::or_left(|isolate| isolate.map(|isolate| isolate.id)),
            kind: payload.type_id(),
            text: text.or_else(|| payload.downcast_ref::<String>().cloned()),
        }
    }
}

/// Runs `f` with this thread's locations, or with none once the thread's locals are destroyed.
fn with_origins<R>(f: impl FnOnce(&mut Vec<Origin>) -> R) -> R {
    let mut origins = ORIGINS.try_with(Cell::take).unwrap_or_default();
    let result = f(&mut origins);
    // An empty list owns no memory, so a thread that first comes here after the destruction of its
    // locals, whose list is never dropped, leaks none.
    if origins.is_empty() {
        origins = Vec::new();
    }
    // Once the thread's locals are destroyed nothing is kept.
    let _ = ORIGINS.try_with(|kept| kept.set(origins));
    result
}

/// Records where a panic began. Called by the hook.
pub(super) fn note(info: &PanicHookInfo<'_>) {
    let Some(location) = info.location() else {
        return;
    };
    let origin = Origin {
        subject: Subject::of(info.payload()),
        location: location.to_string(),
    };
    with_origins(|origins| {
        if origins.len() == KEPT {
            origins.remove(0);
        }
        origins.push(origin);
    });
}

/// Returns where the panic with this payload began, if it called the hook on this thread. Removes
/// its location and later ones, which belong to contained panics.
pub(super) fn take(payload: &(dyn Any + Send)) -> Option<String> {
    let subject = Subject::of(payload);
    with_origins(|origins| {
        // The latest: an older, equal one may be of a panic that user code caught.
        let found = origins.iter().rposition(|it| it.subject == subject)?;
        origins.drain(found..).next().map(|origin| origin.location)
    })
}
