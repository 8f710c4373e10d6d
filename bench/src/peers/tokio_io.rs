//! tokio's files and sockets.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::tokio::{Flavor, start_task};
use crate::drivers::echo::Server;
use crate::drivers::executor::Executor;
use crate::drivers::files::{CHUNK, Files};

/// Files, in tasks of a runtime with threads.
#[derive(Clone, Copy)]
pub(crate) struct TokioFiles;

impl Files for TokioFiles {
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Flavor::Multi.run(root)
    }

    async fn join<F>(&self, tasks: Vec<F>) -> u64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let started: Vec<_> = tasks.into_iter().map(start_task).collect();
        let mut total = 0;
        for task in started {
            total += task.await;
        }
        total
    }

    async fn stat(&self, path: &Path) -> u64 {
        let metadata = tokio::fs::metadata(path).await;
        metadata.expect("the file is there").len()
    }

    async fn read(&self, path: &Path) -> (u64, u64) {
        let mut file = tokio::fs::File::open(path)
            .await
            .expect("the file is there");
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

/// Returns what it receives, with a task per connection.
#[derive(Clone, Copy)]
pub(crate) struct TokioEcho;

impl Server for TokioEcho {
    fn serve<R>(self, drive: impl FnOnce(SocketAddr) -> R) -> R {
        let runtime = Flavor::Multi.runtime_with_sockets();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        drive(address)
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
