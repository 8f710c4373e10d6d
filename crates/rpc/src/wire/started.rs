//! The start of a call, as it is left for the caller's side.
//!
//! A worker starts the call, and another thread may move the messages of its side at this moment.
//! The side takes the items of the caller once the call has started, and waits for that before.
//! Whether it has started is asked under the lock under which the waker is left, so either the side
//! finds the items, or the start finds the waker.

use std::task::Waker;

use insula_sync::Mutex;

use crate::WorkerId;
use crate::channel::{Place, set_waker, wake};

/// The start of one call; `I` are the items of its caller.
pub(crate) struct Started<I>(Mutex<State<I>>);

struct State<I> {
    /// `None` until the call starts.
    worker: Option<WorkerId>,
    /// Until the side takes them.
    items: Option<I>,
    /// The waker of the task that moves the messages of the side.
    side: Option<Waker>,
}

impl<I> Started<I> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            worker: None,
            items: None,
            side: None,
        }))
    }

    /// The call has started.
    pub(crate) fn start(&self, worker: WorkerId, items: Option<I>) {
        let mut state = self.0.lock();
        state.worker = Some(worker);
        state.items = items;
        let side = state.side.take();
        drop(state);
        wake(side);
    }

    /// Takes the items of a call that has started, or leaves the waker of the side.
    pub(crate) fn poll_items(&self, waker: &Waker) -> Option<I> {
        let mut new = None;
        loop {
            let mut state = self.0.lock();
            if state.worker.is_some() {
                let items = state.items.take();
                drop(state);
                drop(new);
                return items;
            }
            match set_waker(&mut state.side, waker, new.take()) {
                Place::Set(old) => {
                    drop(state);
                    drop(old);
                    return None;
                }
                Place::NeedsClone => {
                    drop(state);
                    new = Some(waker.clone());
                }
            }
        }
    }

    pub(crate) fn take_items(&self) -> Option<I> {
        self.0.lock().items.take()
    }

    pub(crate) fn worker(&self) -> Option<WorkerId> {
        self.0.lock().worker
    }
}
