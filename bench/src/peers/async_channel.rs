//! async-channel on async-executor, the pair that smol consists of.

use std::future::Future;
use std::sync::Arc;
use std::thread;

use async_channel::{Receiver, Sender};
use async_executor::Executor as SmolExecutor;
use futures_lite::future::block_on;

use crate::drivers::async_channel::AsyncChannel;
use crate::drivers::executor::{Executor, THREADS};

pub(crate) struct SmolChannel;

impl AsyncChannel for SmolChannel {
    type Tx<T: Send + 'static> = Sender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (Sender<T>, Receiver<T>) {
        bound.map_or_else(async_channel::unbounded, async_channel::bounded)
    }

    async fn send<T: Send + 'static>(tx: &Sender<T>, value: T) {
        assert!(tx.send(value).await.is_ok(), "the receiver is there");
    }

    async fn recv<T: Send + 'static>(rx: &mut Receiver<T>) -> Option<T> {
        rx.recv().await.ok()
    }
}

/// One executor, driven by [`THREADS`] threads.
#[derive(Clone, Default)]
pub(crate) struct Smol(Arc<SmolExecutor<'static>>);

impl Executor for Smol {
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let drive = || {
            let (executor, stopped) = (Arc::clone(&self.0), stopped.clone());
            // The channel closes when the root has ended.
            thread::spawn(move || block_on(executor.run(async move { stopped.recv().await.ok() })))
        };
        let threads: Vec<_> = (0..THREADS).map(|_| drive()).collect();
        let output = block_on(self.0.spawn(root));
        drop(stop);
        for thread in threads {
            thread.join().expect("a driving thread does not panic");
        }
        output
    }

    fn spawn<F>(&self, task: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(task)
    }

    fn detach<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(task).detach();
    }
}
