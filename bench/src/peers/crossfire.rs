//! crossfire: lock-free queues with many senders and one receiver.

use crossfire::mpsc::{self, Array, List};
use crossfire::{AsyncRx, MAsyncTx, MTx, Rx};

use crate::drivers::async_channel::AsyncChannel;
use crate::drivers::thread_channel::ThreadChannel;

/// A list of blocks; ignores a bound.
pub(crate) struct CrossfireUnbounded;

impl ThreadChannel for CrossfireUnbounded {
    type Tx<T: Send + 'static> = MTx<List<T>>;
    type Rx<T: Send + 'static> = Rx<List<T>>;

    fn open<T: Send + 'static>(_bound: Option<usize>) -> (MTx<List<T>>, Rx<List<T>>) {
        // As its documents say for virtual machines.
        crossfire::detect_backoff_cfg();
        mpsc::unbounded_blocking()
    }

    fn send<T: Send + 'static>(tx: &MTx<List<T>>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(rx: &Rx<List<T>>) -> Option<T> {
        rx.recv().ok()
    }

    fn try_recv<T: Send + 'static>(rx: &Rx<List<T>>) -> Option<T> {
        rx.try_recv().ok()
    }
}

impl AsyncChannel for CrossfireUnbounded {
    type Tx<T: Send + 'static> = MTx<List<T>>;
    type Rx<T: Send + 'static> = AsyncRx<List<T>>;

    fn open<T: Send + 'static>(_bound: Option<usize>) -> (MTx<List<T>>, AsyncRx<List<T>>) {
        crossfire::detect_backoff_cfg();
        mpsc::unbounded_async()
    }

    /// Never waits, since there is always room.
    async fn send<T: Send + 'static>(tx: &MTx<List<T>>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    async fn recv<T: Send + 'static>(rx: &mut AsyncRx<List<T>>) -> Option<T> {
        rx.recv().await.ok()
    }
}

/// A ring of places; needs a bound.
pub(crate) struct CrossfireBounded;

fn places(bound: Option<usize>) -> usize {
    crossfire::detect_backoff_cfg();
    bound.expect("a ring has a bound")
}

impl ThreadChannel for CrossfireBounded {
    type Tx<T: Send + 'static> = MTx<Array<T>>;
    type Rx<T: Send + 'static> = Rx<Array<T>>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (MTx<Array<T>>, Rx<Array<T>>) {
        mpsc::bounded_blocking(places(bound))
    }

    fn send<T: Send + 'static>(tx: &MTx<Array<T>>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(rx: &Rx<Array<T>>) -> Option<T> {
        rx.recv().ok()
    }

    fn try_recv<T: Send + 'static>(rx: &Rx<Array<T>>) -> Option<T> {
        rx.try_recv().ok()
    }
}

/// The future of a send wants values that may be moved; the drivers send no others.
pub(crate) struct Movable<T>(T);

impl<T> Unpin for Movable<T> {}

impl AsyncChannel for CrossfireBounded {
    type Tx<T: Send + 'static> = MAsyncTx<Array<Movable<T>>>;
    type Rx<T: Send + 'static> = AsyncRx<Array<Movable<T>>>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (Self::Tx<T>, Self::Rx<T>) {
        mpsc::bounded_async(places(bound))
    }

    async fn send<T: Send + 'static>(tx: &Self::Tx<T>, value: T) {
        assert!(
            tx.send(Movable(value)).await.is_ok(),
            "the receiver is there"
        );
    }

    async fn recv<T: Send + 'static>(rx: &mut Self::Rx<T>) -> Option<T> {
        rx.recv().await.ok().map(|it| it.0)
    }
}
