//! kanal: a deque under a spin lock; a send writes straight into a waiting receiver.

use kanal::{AsyncReceiver, AsyncSender, Receiver, Sender};

use crate::drivers::async_channel::AsyncChannel;
use crate::drivers::thread_channel::ThreadChannel;

pub(crate) struct Kanal;

impl ThreadChannel for Kanal {
    type Tx<T: Send + 'static> = Sender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (Sender<T>, Receiver<T>) {
        bound.map_or_else(kanal::unbounded, kanal::bounded)
    }

    fn send<T: Send + 'static>(tx: &Sender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(rx: &Receiver<T>) -> Option<T> {
        rx.recv().ok()
    }

    fn try_recv<T: Send + 'static>(rx: &Receiver<T>) -> Option<T> {
        rx.try_recv().ok().flatten()
    }
}

impl AsyncChannel for Kanal {
    type Tx<T: Send + 'static> = AsyncSender<T>;
    type Rx<T: Send + 'static> = AsyncReceiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (AsyncSender<T>, AsyncReceiver<T>) {
        bound.map_or_else(kanal::unbounded_async, kanal::bounded_async)
    }

    async fn send<T: Send + 'static>(tx: &AsyncSender<T>, value: T) {
        assert!(tx.send(value).await.is_ok(), "the receiver is there");
    }

    async fn recv<T: Send + 'static>(rx: &mut AsyncReceiver<T>) -> Option<T> {
        rx.recv().await.ok()
    }
}
