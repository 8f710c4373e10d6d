//! Counts the threads and descriptors of this process.

use std::time::{Duration, Instant};

use insula_core::Runtime;

/// The numbers of threads and descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Residents {
    /// Threads, without the global runtime's.
    pub(crate) threads: usize,
    /// Descriptors.
    pub(crate) descriptors: usize,
}

impl Residents {
    /// The longest time that threads get to end once nothing holds them.
    const SETTLED: Duration = Duration::from_secs(3);

    /// Returns the current numbers; zero if the system does not report them.
    pub(crate) fn now() -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            threads: threads(),
            // Always includes the descriptor of the folder that is being read.
            descriptors,
        }
    }

    /// Returns whether there are at most `own` threads more than before.
    pub(crate) fn has_at_most(self, own: usize) -> bool {
        threads() <= self.threads + own
    }

    /// Waits until there are no more threads and descriptors than before.
    ///
    /// # Errors
    /// Reports what is left after a while.
    pub(crate) fn settle(self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let now = Self::now();
            let threads = now.threads.saturating_sub(self.threads);
            let descriptors = now.descriptors.saturating_sub(self.descriptors);
            if threads == 0 && descriptors == 0 {
                return Ok(());
            }
            if start.elapsed() > Self::SETTLED {
                let own = Runtime::global().thread_count();
                let names = names().join(", ");
                return Err(format!(
                    "{threads} threads and {descriptors} descriptors are left; there are {names}; \
                     {own} are the global runtime's"
                ));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// Counts the threads of this process except the global runtime's, which stay and are known by
/// their names. Other runtimes use different names, except for the event handler's thread.
fn threads() -> usize {
    let (mut events, mut pool, mut others) = (0usize, 0usize, 0);
    for name in names() {
        match &*name {
            "insula-events" => events += 1,
            "insula-monitor" => {}
            // A thread of this program. It must not be offset against the pool's threads, of which
            // one may not have its name yet.
            "insula-hostile" => others += 1,
            name if name.starts_with("insula-") => pool += 1,
            _ => others += 1,
        }
    }
    // A new thread has the name of the thread that started it until it sets its own.
    let own = Runtime::global().thread_count();
    others + events.saturating_sub(1) + pool.saturating_sub(own)
}

/// Returns the names of all threads.
fn names() -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let name = |task: std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.trim_end().to_owned()
    };
    // A thread without a name has just ended.
    tasks
        .flatten()
        .map(name)
        .filter(|it| !it.is_empty())
        .collect()
}
