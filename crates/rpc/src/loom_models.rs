//! Loom models of the cell of a call, of the channel of a stream and of a wire, through all
//! interleavings within the preemption bound. They run the real code. `cargo xtask test` runs them; to run them
//! alone:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-rpc --lib loom`

mod cell;
mod channel;
#[cfg(feature = "wire")]
mod lease;
#[cfg(feature = "wire")]
mod wire;

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use insula_sync::atomic::{AtomicBool, Ordering};

/// A waker that says whether it was woken.
#[derive(Debug)]
struct Woken(AtomicBool);

impl Woken {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(false)))
    }

    /// Polls with this waker.
    fn poll<T>(self: &Arc<Self>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let waker = Waker::from(Arc::clone(self));
        poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
