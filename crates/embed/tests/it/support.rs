//! Loops that are driven by hand, and a book in which tasks write that they ran.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use insula_core::Runtime;
use insula_embed::MessageLoop;

/// Loops on one virtual clock, and what happened in them.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    book: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            runtime: Runtime::builder().seeded(1).build(),
            book: Arc::default(),
        }
    }

    pub(crate) fn make_loop(&self, label: &str) -> MessageLoop {
        MessageLoop::in_foreign_loop(label, &self.runtime, || {})
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.runtime.advance(Duration::from_millis(ms));
    }

    /// A function that writes `word`.
    pub(crate) fn write(&self, word: &str) -> impl Fn() + Send + Sync + use<> {
        let (book, word) = (self.book.clone(), word.to_owned());
        move || {
            let mut book = book.lock().expect("no task panics while it writes");
            book.push(word.clone());
        }
    }

    /// Something that writes `word` when it is dropped.
    pub(crate) fn write_when_dropped(&self, word: &str) -> impl Send + use<> {
        OnDrop(self.write(word))
    }

    /// Returns what was written since the last look.
    pub(crate) fn read(&self) -> String {
        std::mem::take(&mut *self.book.lock().expect("no task panics while it writes")).join(" ")
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
