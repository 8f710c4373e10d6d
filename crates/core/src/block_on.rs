//! Waiting for a future on a plain thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use insula_sync::Parker;

use crate::isolate::Current;

struct Unpark(Parker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread, which sleeps whenever the future waits.
///
/// # Blocking
/// Blocks the thread. An isolate that calls it hands its thread's place in the pool over, so
/// that others go on; awaiting is better still. The future runs outside of the isolate: it may
/// ask and spawn, but not use the isolate's own ports, which nobody serves meanwhile.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = crate::Runtime::of_isolate();
    let _entered = runtime.as_ref().map(crate::Runtime::enter);
    Current::leave(|| park_until_ready(future))
}

fn park_until_ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark(Parker::new()));
    let waker = Waker::from(unpark.clone());
    let mut cx = Context::from_waker(&waker);
    let mut announced = false;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        if !announced {
            announced = true;
            crate::runtime::about_to_block();
        }
        unpark.0.park();
    }
}
