//! crossbeam-channel: bounded is an array with a stamp per slot, unbounded a list of blocks.

use crossbeam_channel::{Receiver, Sender};

use crate::drivers::thread_channel::ThreadChannel;

pub(crate) struct Crossbeam;

impl ThreadChannel for Crossbeam {
    type Tx<T: Send + 'static> = Sender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (Sender<T>, Receiver<T>) {
        bound.map_or_else(crossbeam_channel::unbounded, crossbeam_channel::bounded)
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
