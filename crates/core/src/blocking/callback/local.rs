//! Callbacks inside of the caller's turn.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use super::line::Line;
use super::{CallbackError, NotOnIsolateThread};
use crate::panic::catch_panic;
use crate::port::PortId;

/// A callback that only the isolate which made it may call, and that runs at once, inside of the
/// turn that calls: what foreign code wants that the isolate itself has called. Anybody else gets
/// [`CallbackError::NotOnIsolateThread`]. A cheap handle.
///
/// It may be called while it runs, so the handler takes no `&mut`; what it changes lies in an
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
    /// Makes a callback of the current isolate.
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

    /// Calls, in the isolate.
    ///
    /// # Errors
    /// [`CallbackError::NotOnIsolateThread`] anywhere else, [`CallbackError::Closed`], and
    /// [`CallbackError::Panicked`], which leaves it to the caller what becomes of the panic.
    pub fn call(&self, argument: T) -> Result<R, CallbackError<T>> {
        if self.line.is_closed() {
            return Err(CallbackError::Closed(Some(argument)));
        }
        if self.line.end().in_isolate(|_| ()).is_none() {
            return Err(CallbackError::NotOnIsolateThread(argument));
        }
        catch_panic(|| (self.handler)(argument)).map_err(CallbackError::Panicked)
    }

    /// Closes the callback, from any thread: later calls fail. Tells whether it was open.
    pub fn close(&self) -> bool {
        self.line.close()
    }

    /// Whether calls are refused.
    pub fn is_closed(&self) -> bool {
        self.line.is_closed()
    }

    /// Says whether the open callback keeps its isolate alive; at first it does.
    ///
    /// # Errors
    /// If this is not the isolate that made the callback.
    pub fn keep_isolate_alive(&self, keep: bool) -> Result<(), NotOnIsolateThread> {
        self.line.keep_isolate_alive(keep)
    }

    /// What identifies the port of the callback, as
    /// [`Isolate::why_alive`](crate::Isolate::why_alive) names it.
    pub fn id(&self) -> PortId {
        self.line.id()
    }
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
