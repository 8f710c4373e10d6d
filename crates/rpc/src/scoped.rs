//! The tasks that are part of a call.
//!
//! They are the user's code, and so are their drops. Many are dropped together, where a second panic
//! would end the process and the first one would leave the others behind, so each is dropped for
//! itself.

use std::pin::Pin;
use std::task::{self, Poll, ready};

use futures_util::stream::{FuturesUnordered, Stream as _};

use crate::context::Context;
use crate::guard::{Panic, catch};

/// A task that is part of a call.
pub(crate) struct ScopedTask(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

/// The tasks of a call that run.
#[derive(Default)]
pub(crate) struct ScopedTasks(FuturesUnordered<ScopedTask>);

impl ScopedTask {
    pub(crate) fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }

    /// Drops the task where it waits.
    ///
    /// # Errors
    /// Its drop panicked.
    fn give_up(mut self) -> Result<(), Panic> {
        let future = self.0.take();
        catch(move || drop(future))
    }
}

impl Future for ScopedTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<()> {
        if let Some(future) = &mut self.0 {
            ready!(future.as_mut().poll(task));
        }
        // Here, where a panic fails the call as any other of the task does.
        self.0 = None;
        Poll::Ready(())
    }
}

/// Comes to nothing for a task that has ended or was given up. The others are those of a call whose
/// isolate ends, and no caller is left for a panic.
impl Drop for ScopedTask {
    fn drop(&mut self) {
        if let Some(future) = self.0.take() {
            let _panic = catch(move || drop(future));
        }
    }
}

impl ScopedTasks {
    /// Takes over what the handler, or its stream, has spawned, and runs what is woken. Ready once
    /// there is no task left.
    pub(crate) fn poll(&mut self, cx: &Context, task: &mut task::Context<'_>) -> Poll<()> {
        self.0.extend(cx.take_spawned());
        // Ready with `None` once there are no more, and with each that ends.
        while let Poll::Ready(Some(())) = Pin::new(&mut self.0).poll_next(task) {}
        if self.0.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Drops all tasks where they wait, also those that were spawned since the last poll.
    ///
    /// # Errors
    /// The first panic of their drops.
    pub(crate) fn give_up(&mut self, cx: &Context) -> Result<(), Panic> {
        let running = std::mem::take(&mut self.0);
        give_up_all(running.into_iter().chain(cx.take_spawned()))
    }
}

/// Drops tasks where they wait.
///
/// # Errors
/// The first panic of their drops.
pub(crate) fn give_up_all(tasks: impl IntoIterator<Item = ScopedTask>) -> Result<(), Panic> {
    let mut all = Ok(());
    for task in tasks {
        let one = task.give_up();
        all = all.and(one);
    }
    all
}
