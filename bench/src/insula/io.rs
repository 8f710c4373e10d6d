//! This project's files and sockets.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use insula::io::{File, OpenMode, TcpListener, TcpStream, stat};
use insula::{Isolate, ReceivePort, spawn_local};

use super::Shape;
use crate::drivers::echo::Server;
use crate::drivers::files::{CHUNK, Files};

/// Files, in an isolate and its tasks.
#[derive(Clone, Copy)]
pub(crate) struct IsolateFiles;

impl Files for IsolateFiles {
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Shape::Multi.run(root)
    }

    async fn join<F>(&self, tasks: Vec<F>) -> u64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let mut sums = ReceivePort::new();
        for task in tasks {
            let sum = sums.send_port();
            spawn_local(async move {
                let _ = sum.send(task.await);
            });
        }
        let mut total = 0;
        while let Some(sum) = sums.recv().await {
            total += sum;
        }
        total
    }

    async fn stat(&self, path: &Path) -> u64 {
        stat(path).await.expect("the file is there").length
    }

    async fn read(&self, path: &Path) -> (u64, u64) {
        let file = File::open(path, OpenMode::Read).await;
        let file = file.expect("the file is there");
        let (mut total, mut sum) = (0, 0);
        let mut buffer = vec![0; CHUNK];
        loop {
            let (count, back) = file.read(buffer).await;
            buffer = back;
            match count.expect("the file can be read") {
                0 => return (total, sum),
                count => {
                    total += count as u64;
                    sum += u64::from(buffer[0]);
                }
            }
        }
    }
}

/// Returns what it receives.
#[derive(Clone, Copy)]
pub(crate) enum Echo {
    /// Each connection has an isolate.
    Isolates,
    /// Each connection has a task of one isolate.
    Tasks,
}

impl Server for Echo {
    fn serve<R>(self, drive: impl FnOnce(SocketAddr) -> R) -> R {
        Shape::Multi.run_beside(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let address = listener.local_address().expect("it has one");
            let server = Isolate::spawn(
                async move |listener: TcpListener| self.accept(&listener).await,
                listener,
            );
            let result = drive(address);
            server.kill();
            result
        })
    }
}

impl Echo {
    async fn accept(self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            match self {
                Self::Isolates => drop(Isolate::spawn(echo, stream)),
                Self::Tasks => spawn_local(echo(stream)),
            }
        }
    }
}

async fn echo(stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
