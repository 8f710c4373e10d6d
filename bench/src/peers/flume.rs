//! flume: a deque under a lock, with blocking and async ends of the same channel.

use std::future::Future;

use flume::{Receiver, Sender};

use crate::drivers::async_channel::AsyncChannel;
use crate::drivers::thread_channel::ThreadChannel;

pub(crate) struct Flume;

fn open<T>(bound: Option<usize>) -> (Sender<T>, Receiver<T>) {
    bound.map_or_else(flume::unbounded, flume::bounded)
}

impl ThreadChannel for Flume {
    type Tx<T: Send + 'static> = Sender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (Sender<T>, Receiver<T>) {
        open(bound)
    }

    fn send<T: Send + 'static>(tx: &Sender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(rx: &Receiver<T>) -> Option<T> {
        rx.recv().ok()
    }

    fn try_recv<T: Send + 'static>(rx: &Receiver<T>) -> Option<T> {
        rx.try_recv().ok()
    }
}

impl AsyncChannel for Flume {
    type Tx<T: Send + 'static> = Sender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (Sender<T>, Receiver<T>) {
        open(bound)
    }

    async fn send<T: Send + 'static>(tx: &Sender<T>, value: T) {
        assert!(tx.send_async(value).await.is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(rx: &mut Receiver<T>) -> impl Future<Output = Option<T>> + Send {
        let next = rx.recv_async();
        async move { next.await.ok() }
    }
}
