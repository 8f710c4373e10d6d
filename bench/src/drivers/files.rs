//! Asynchronous files.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The size of a buffer for reading.
pub(crate) const CHUNK: usize = 1 << 20;

/// Asynchronous file operations, and where they run.
pub(crate) trait Files: Clone + Send + Sync + 'static {
    /// Runs `root` in a fresh runtime and waits for it on the calling thread.
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs all of `tasks` as tasks of the runtime, and waits for them. Only inside of `run`.
    fn join<F>(&self, tasks: Vec<F>) -> impl Future<Output = u64> + Send
    where
        F: Future<Output = u64> + Send + 'static;

    /// Returns the length of the file at a path.
    fn stat(&self, path: &Path) -> impl Future<Output = u64> + Send;

    /// Reads a file to its end in buffers of [`CHUNK`]. Returns the number of bytes, and the sum of
    /// the first bytes of all buffers.
    fn read(&self, path: &Path) -> impl Future<Output = (u64, u64)> + Send;
}

/// Calls `stat` `count` times, in `tasks` tasks that await one call at a time.
pub(crate) fn stats<S: Files>(system: S, path: &Arc<Path>, count: u64, tasks: u64) -> Duration {
    let (path, each) = (path.clone(), count / tasks);
    system.clone().run(async move {
        let one = |path: Arc<Path>| {
            let system = system.clone();
            async move {
                let mut sum = 0;
                for _ in 0..each {
                    sum += system.stat(&path).await;
                }
                sum
            }
        };
        // The threads exist before the clock starts.
        one_by_one(&system, &path).await;
        let start = Instant::now();
        let sum = match tasks {
            1 => one(path).await,
            _ => {
                let all = (0..tasks).map(|_| one(path.clone())).collect();
                system.join(all).await
            }
        };
        let elapsed = start.elapsed();
        assert_eq!(sum, each * tasks * LENGTH, "a stat was lost");
        elapsed
    })
}

async fn one_by_one<S: Files>(system: &S, path: &Path) {
    for _ in 0..100 {
        assert_eq!(system.stat(path).await, LENGTH);
    }
}

/// The length of the file that `stat` is called for.
pub(crate) const LENGTH: u64 = 77;

/// Reads a file of `length` bytes once.
pub(crate) fn read_whole<S: Files>(system: S, path: &Arc<Path>, length: u64) -> Duration {
    let path = path.clone();
    system.clone().run(async move {
        let start = Instant::now();
        let (count, sum) = system.read(&path).await;
        let elapsed = start.elapsed();
        assert_eq!(count, length, "bytes are missing");
        // Systems may read in other portions; at least one buffer begins with a byte of ours.
        assert_ne!(sum, 0, "other bytes");
        elapsed
    })
}

/// Creates a file without holes and reads it once, so that it is in memory for every system.
pub(crate) fn make_file(path: &Path, length: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let chunk = vec![3; CHUNK];
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    while left != 0 {
        let part = left.min(CHUNK);
        file.write_all(&chunk[..part])?;
        left -= part;
    }
    Ok(())
}
