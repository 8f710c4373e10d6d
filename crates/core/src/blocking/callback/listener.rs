//! Listener callbacks: each call becomes a message.

use super::line::Line;
use crate::port::SendError;

/// A callback that any thread may call without waiting: each call becomes an event of the isolate
/// that made it. Cheap to clone.
///
/// # Ordering
/// The calls of one thread keep their order, also among the other messages that the thread sends to
/// the isolate. Each call is a turn of its own.
///
/// ```
/// # insula_core::block_on(async {
/// use insula_core::{Isolate, IsolateCell, ListenerCallback, one_shot};
/// let sum = Isolate::run_async(async || {
///     let (done, all) = one_shot();
///     let (sum, mut done) = (IsolateCell::new(0), Some(done));
///     let total = sum.clone();
///     let add = ListenerCallback::new(move |n: u32| {
///         total.with(|total| *total += n);
///         if n == 4 && let Some(done) = done.take() {
///             done.send(());
///         }
///     });
///     std::thread::spawn(move || (1..=4).try_for_each(|n| add.call(n)));
///     let _ = all.await;
///     sum.with(|sum| *sum)
/// });
/// assert_eq!(sum.await, Ok(10));
/// # });
/// ```
#[derive(Debug)]
pub struct ListenerCallback<T: Send + 'static>(Line<T>);

impl<T: Send + 'static> ListenerCallback<T> {
    /// Creates a callback of the current isolate.
    ///
    /// A panic of `handler` is an error of the isolate, as in any event.
    ///
    /// # Panics
    /// If there is no current isolate.
    #[track_caller]
    pub fn new(handler: impl FnMut(T) + Send + 'static) -> Self {
        Self(Line::open(handler))
    }

    /// Queues a call, from any thread. Never waits.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the argument, if the callback is closed or its isolate has ended.
    /// A call that was accepted is dropped without an error if the callback is closed before its
    /// turn.
    pub fn call(&self, argument: T) -> Result<(), SendError<T>> {
        self.0.post(argument).map_err(SendError::Closed)
    }

    /// Closes the callback, from any thread. Later calls fail, and calls whose turn has not begun
    /// are dropped. Returns whether the callback was open.
    pub fn close(&self) -> bool {
        self.0.close()
    }

    impl_line!(0);
}

impl<T: Send + 'static> Clone for ListenerCallback<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
