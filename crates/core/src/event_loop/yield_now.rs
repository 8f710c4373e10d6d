//! Yielding to other isolates.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::memory::Current;

/// Ends this turn: moves the isolate to the back of the run queue, and continues after the events
/// that are queued for it now. Outside of isolates the future wakes itself once.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// A future that waits for its next turn. Made by [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        let in_isolate = Current::with(|isolate| match isolate {
            Some(isolate) => {
                isolate.local().flags.yielded.set(true);
                let wakeup = crate::event_loop::task::Wakeup::capture(isolate, cx);
                isolate.post_wakeup(wakeup);
                true
            }
            None => false,
        });
        if !in_isolate {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
