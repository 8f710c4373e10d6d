//! Checks that a future that becomes ready wakes the task that waits for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use insula_core::sleep;
use insula_sync::{Condvar, Mutex};

use crate::run::world::{At, KeptFuture};

/// The longest time from an answer to its wake-up: the thread that gives the answer may be stopped
/// between the two.
const LATE: Duration = Duration::from_secs(3);

/// The times at which the future is polled without a wake-up.
const LOOKS: [Duration; 2] = [Duration::from_millis(3), Duration::from_millis(40)];

/// Wraps a future whose every wait ends with a wake-up, and polls it at other times too: if it is
/// ready then, a wake-up is missing.
pub(crate) fn announced(
    future: KeptFuture,
    what: impl Fn() -> String + Send + 'static,
    at: &At,
) -> KeptFuture {
    let bell = Arc::new(Bell::default());
    let (mut future, mut is_waiting, at) = (future, false, at.clone());
    let mut looks = LOOKS.iter();
    let mut timer = None;
    Box::pin(std::future::poll_fn(move |cx| {
        if is_waiting {
            if timer.is_none() {
                // Made in a poll, so that it has the clock of the place that waits.
                timer = looks.next().map(|time| Box::pin(sleep(*time)));
            }
            while let Some(sleep) = &mut timer
                && sleep.as_mut().poll(cx).is_ready()
            {
                timer = looks.next().map(|time| Box::pin(self::sleep(*time)));
            }
        }
        // Cloned, and the old one dropped, without the lock, since both may run a script.
        let task = cx.waker().clone();
        let before = bell.task.lock().replace(task);
        drop(before);
        let was_rung = std::mem::take(&mut *bell.is_rung.lock());
        let waker = Waker::from(Arc::clone(&bell));
        let polled = Pin::as_mut(&mut future).poll(&mut Context::from_waker(&waker));
        if polled.is_ready() && is_waiting && !was_rung && !bell.rings() {
            at.world
                .ledger
                .fault(format!("{} was over, and woke nothing", what()));
        }
        is_waiting = polled.is_pending();
        polled
    }))
}

#[derive(Default)]
struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        *self.is_rung.lock() = true;
        self.rung.notify_all();
        // Taken, and not cloned: a clone may run a script, which must find the lock free. The next
        // poll leaves another one.
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Waits for the ring of a wake-up that is on its way.
    fn rings(&self) -> bool {
        let start = Instant::now();
        let mut is_rung = self.is_rung.lock();
        while !*is_rung {
            let Some(left) = LATE.checked_sub(start.elapsed()) else {
                return false;
            };
            is_rung = self.rung.wait_timeout(is_rung, left);
        }
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
