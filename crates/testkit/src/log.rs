//! The log that isolates write and a check reads.

use std::sync::Arc;

use insula_sync::Mutex;

/// Shared lines, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Writes a line.
    pub fn line(&self, line: impl ToString) {
        // Before the lock is taken: `to_string` is the caller's code.
        let line = line.to_string();
        self.0.lock().push(line);
    }

    /// Returns a closure that writes a line.
    pub fn later(&self, line: impl ToString) -> impl FnOnce() + Send + 'static {
        let (log, line) = (self.clone(), line.to_string());
        move || log.line(line)
    }

    /// Returns the lines written so far, in one line.
    pub fn text(&self) -> String {
        self.0.lock().join(", ")
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Returns whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
