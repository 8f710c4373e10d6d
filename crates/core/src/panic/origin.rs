//! Where panics began: the hook sees the place, and only `catch_unwind` sees the payload.
//!
//! The two are matched by what both see: the isolate, the payload's type, and its text. A payload
//! that was resumed with `resume_unwind` has passed no hook, so the place of an earlier panic, of
//! another isolate or of this one, must not be taken for its own. Several places wait while a
//! destructor's panic is contained during the unwinding of another one.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::panic::PanicHookInfo;

use crate::memory::Current;

/// Places that a thread remembers. Those of panics that user code caught by itself are never
/// asked for, and make room for later ones.
const KEPT: usize = 4;

thread_local! {
    /// Bounded by [`KEPT`]; the latest is the last.
    static ORIGINS: Cell<Vec<Origin>> = const { Cell::new(Vec::new()) };
}

struct Origin {
    subject: Subject,
    location: String,
}

/// What tells one panic from another.
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

/// Runs `f` with this thread's places. At the end of the thread, when they are gone, with none.
fn with_origins<R>(f: impl FnOnce(&mut Vec<Origin>) -> R) -> R {
    let mut origins = ORIGINS.try_with(Cell::take).unwrap_or_default();
    let result = f(&mut origins);
    // At the end of the thread nothing is remembered.
    let _ = ORIGINS.try_with(|kept| kept.set(origins));
    result
}

/// Remembers where a panic began. Called by the hook.
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

/// Where the panic with this payload began, if it passed the hook on this thread. Forgets it, and
/// what came after it, which was contained.
pub(super) fn take(payload: &(dyn Any + Send)) -> Option<String> {
    let subject = Subject::of(payload);
    with_origins(|origins| {
        let found = origins.iter().rposition(|it| it.subject == subject)?;
        origins.drain(found..).next().map(|origin| origin.location)
    })
}
