//! Telling others when an isolate runs.

use std::sync::Arc;

use crate::memory::Current;

/// Is told of each slice of an isolate, on the thread that runs it. For other crates of this project.
///
/// The methods must not panic, and must not use the isolate.
pub trait SliceWatch: Send + Sync + 'static {
    /// A slice begins.
    fn begins(&self);
    /// The slice is over. The isolate may run on another thread by now, or be gone.
    fn ends(&self);
}

/// Has `watch` told of the slices of the current isolate, from the next one on. Replaces the watch
/// before it.
///
/// # Panics
/// If there is no current isolate.
pub fn watch_slices(watch: Arc<dyn SliceWatch>) {
    Current::with(|isolate| {
        let isolate = isolate.expect("watch_slices needs a current isolate");
        let before = isolate.with_events(|events| events.slice_watch.replace(watch));
        isolate.local().flags.watched.set(true);
        drop(before);
    });
}

/// A slice of an isolate with a watch begins. Few isolates have one.
#[cold]
pub(super) fn begin(isolate: Current<'_>) -> Option<Arc<dyn SliceWatch>> {
    let watch = isolate.with_events(|events| events.slice_watch.clone())?;
    watch.begins();
    Some(watch)
}
