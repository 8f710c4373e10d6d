//! Frames that wait for the medium.

use std::collections::VecDeque;
use std::fmt;
use std::task::Waker;

use insula_core::wake_contained;
use insula_rpc::wire::{Encoded, Frame};
use insula_sync::Mutex;

/// The frames of one end of a link, in the order in which the medium has to pass them on.
///
/// Each frame was written when it was put here, so that the medium moves bytes only. Their number is
/// bounded by the windows of the calls that are open, see the [crate](crate).
pub struct Outbox {
    frames: Mutex<VecDeque<Encoded>>,
    /// Told of each frame. It may move frames right there, on the thread that has put one in.
    medium: Waker,
}

impl Outbox {
    pub(crate) fn new(medium: Waker) -> Self {
        Self {
            frames: Mutex::new(VecDeque::new()),
            medium,
        }
    }

    /// Takes the next frame.
    pub fn take(&self) -> Option<Encoded> {
        self.frames.lock().pop_front()
    }

    /// Returns the number of frames that wait.
    pub fn len(&self) -> usize {
        self.frames.lock().len()
    }

    /// Returns whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.frames.lock().is_empty()
    }

    pub(crate) fn put(&self, frame: Frame) {
        self.put_aside(frame);
        wake_contained(self.medium.clone());
    }

    /// Puts a frame in that goes with the next one. It goes alone if [`flush`](Self::flush) comes first.
    pub(crate) fn put_aside(&self, frame: Frame) {
        let frame = frame.write();
        self.frames.lock().push_back(frame);
    }

    /// Has the medium look for frames that were put aside.
    pub(crate) fn flush(&self) {
        if !self.is_empty() {
            wake_contained(self.medium.clone());
        }
    }

    pub(crate) fn clear(&self) {
        let frames = std::mem::take(&mut *self.frames.lock());
        drop(frames);
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}
