//! `std::sync::mpsc`, whose two kinds of sender are two types.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

use crate::drivers::thread_channel::ThreadChannel;

/// `mpsc::channel`; ignores a bound.
pub(crate) struct StdChannel;

impl ThreadChannel for StdChannel {
    type Tx<T: Send + 'static> = Sender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;

    fn open<T: Send + 'static>(_bound: Option<usize>) -> (Sender<T>, Receiver<T>) {
        mpsc::channel()
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

/// `mpsc::sync_channel`; needs a bound.
pub(crate) struct StdSyncChannel;

impl ThreadChannel for StdSyncChannel {
    type Tx<T: Send + 'static> = SyncSender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (SyncSender<T>, Receiver<T>) {
        mpsc::sync_channel(bound.expect("a sync channel has a bound"))
    }

    fn send<T: Send + 'static>(tx: &SyncSender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(rx: &Receiver<T>) -> Option<T> {
        rx.recv().ok()
    }

    fn try_recv<T: Send + 'static>(rx: &Receiver<T>) -> Option<T> {
        rx.try_recv().ok()
    }
}
