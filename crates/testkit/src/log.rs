//! What isolates write and a check reads.

use std::sync::Arc;

use insula_sync::Mutex;

/// Shared lines, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Writes a line.
    pub fn line(&self, line: impl ToString) {
        let line = line.to_string();
        self.0.lock().push(line);
    }

    /// What will write a line when it is called.
    pub fn later(&self, line: impl ToString) -> impl FnOnce() + Send + 'static {
        let (log, line) = (self.clone(), line.to_string());
        move || log.line(line)
    }

    /// What has been written so far, in one line.
    pub fn text(&self) -> String {
        self.0.lock().join(", ")
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
