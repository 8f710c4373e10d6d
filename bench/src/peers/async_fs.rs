//! async-fs, in tasks of async-executor.

use std::future::Future;
use std::path::Path;

use futures_lite::AsyncReadExt;

use crate::drivers::executor::Executor;
use crate::drivers::files::{CHUNK, Files};
use crate::peers::async_channel::Smol;

/// Files, in tasks of an executor with threads.
#[derive(Clone, Default)]
pub(crate) struct AsyncFs(Smol);

impl Files for AsyncFs {
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.run(root)
    }

    async fn join<F>(&self, tasks: Vec<F>) -> u64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let started: Vec<_> = tasks.into_iter().map(|task| self.0.spawn(task)).collect();
        let mut total = 0;
        for task in started {
            total += task.await;
        }
        total
    }

    async fn stat(&self, path: &Path) -> u64 {
        let metadata = async_fs::metadata(path).await;
        metadata.expect("the file is there").len()
    }

    async fn read(&self, path: &Path) -> (u64, u64) {
        let file = async_fs::File::open(path).await;
        let mut file = file.expect("the file is there");
        let (mut total, mut sum) = (0, 0);
        let mut buffer = vec![0; CHUNK];
        loop {
            match file.read(&mut buffer).await.expect("the file can be read") {
                0 => return (total, sum),
                count => {
                    total += count as u64;
                    sum += u64::from(buffer[0]);
                }
            }
        }
    }
}
