//! Isolate-local callbacks: they run inside of the caller's turn.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use super::CallbackError;
use super::line::Line;
use crate::panic::catch_panic;

/// A callback that only the isolate that made it may call, and that runs at once, inside of the
/// turn that calls it. It is for foreign code that the isolate calls and that calls back. Every
/// other caller gets [`CallbackError::NotOnIsolateThread`]. Cheap to clone.
///
/// It may be called while it runs, so the handler is an `Fn`; keep state that it changes in an
/// [`IsolateCell`](crate::IsolateCell).
///
/// ```
/// # insula_core::block_on(async {
/// use insula_core::{CallbackError, Isolate, IsolateLocalCallback};
/// let (inside, outside) = Isolate::run(|| {
///     let double = IsolateLocalCallback::new(|n: u32| 2 * n);
///     let other = double.clone();
///     let outside = std::thread::spawn(move || other.call(4)).join();
///     (double.call(4), outside)
/// })
/// .await?;
/// assert_eq!(inside, Ok(8));
/// assert!(matches!(outside, Ok(Err(CallbackError::NotOnIsolateThread(4)))));
/// # Ok::<_, insula_core::RunError>(())
/// # }).ok();
/// ```
pub struct IsolateLocalCallback<T: Send + 'static, R: 'static> {
    line: Line<Infallible>,
    handler: Arc<dyn Fn(T) -> R + Send + Sync>,
}

impl<T: Send + 'static, R: 'static> IsolateLocalCallback<T, R> {
    /// Creates a callback of the current isolate.
    ///
    /// # Panics
    /// If there is no current isolate.
    #[track_caller]
    pub fn new(handler: impl Fn(T) -> R + Send + Sync + 'static) -> Self {
        Self {
            line: Line::open(|call: Infallible| match call {}),
            handler: Arc::new(handler),
        }
    }

    /// Calls the handler, in the isolate.
    ///
    /// # Errors
    /// [`CallbackError::NotOnIsolateThread`] outside of the isolate, [`CallbackError::Closed`], and
    /// [`CallbackError::Panicked`]: the panic is the caller's to handle, not an error of the
    /// isolate.
    pub fn call(&self, argument: T) -> Result<R, CallbackError<T>> {
        if self.line.is_closed() {
            return Err(CallbackError::Closed(Some(argument)));
        }
        if self.line.end().in_isolate(|_| ()).is_none() {
            return Err(CallbackError::NotOnIsolateThread(argument));
        }
        catch_panic(|| (self.handler)(argument)).map_err(CallbackError::Panicked)
    }

    /// Closes the callback, from any thread. Later calls fail. Returns whether the callback was
    /// open.
    pub fn close(&self) -> bool {
        self.line.close()
    }

    impl_line!(line);
}

impl<T: Send + 'static, R: 'static> Clone for IsolateLocalCallback<T, R> {
    fn clone(&self) -> Self {
        Self {
            line: self.line.clone(),
            handler: self.handler.clone(),
        }
    }
}

impl<T: Send + 'static, R: 'static> fmt::Debug for IsolateLocalCallback<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IsolateLocalCallback")
            .field(&self.line)
            .finish()
    }
}
