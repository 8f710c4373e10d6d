//! The threads and descriptors of this process.

use std::time::{Duration, Instant};

use insula_core::Runtime;

/// How many threads and descriptors there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Residents {
    /// Threads, but for the global runtime's.
    pub(crate) threads: usize,
    /// Descriptors.
    pub(crate) descriptors: usize,
}

impl Residents {
    /// Longest time that threads get to end, once nothing holds them.
    const SETTLED: Duration = Duration::from_secs(3);

    /// How many there are now; zero where the system does not tell.
    pub(crate) fn now() -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            threads: threads(),
            // The folder that is being read is one itself, each time.
            descriptors,
        }
    }

    /// Whether there are at most `own` threads more than before.
    pub(crate) fn has_at_most(self, own: usize) -> bool {
        threads() <= self.threads + own
    }

    /// Waits until there are no more than before.
    ///
    /// # Errors
    /// Says what is left after a while.
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

/// Threads of this process. The global runtime's stay, and are known by their names: programs'
/// runtimes have other ones, but for the thread of their event handler.
fn threads() -> usize {
    let (mut events, mut pool, mut others) = (0usize, 0usize, 0);
    for name in names() {
        match &*name {
            "insula-events" => events += 1,
            "insula-monitor" => {}
            // This program's own: not to be set off against those of the pool, of which one may
            // not have its name yet.
            "insula-hostile" => others += 1,
            name if name.starts_with("insula-") => pool += 1,
            _ => others += 1,
        }
    }
    // A thread that was started just now still has the name of the one that started it.
    let own = Runtime::global().thread_count();
    others + events.saturating_sub(1) + pool.saturating_sub(own)
}

/// The names of all threads.
fn names() -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let name = |task: std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.trim_end().to_owned()
    };
    // One without a name ended just now.
    tasks
        .flatten()
        .map(name)
        .filter(|it| !it.is_empty())
        .collect()
}
