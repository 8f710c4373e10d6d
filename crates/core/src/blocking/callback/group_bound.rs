//! Group-bound callbacks: they run outside of isolates, on the caller's thread.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use insula_sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use insula_sync::{Mutex, of_users};

use super::line::Line;
use super::{BlockingCallback, CallbackError, ListenerCallback};
use crate::memory::Current;
use crate::panic::catch_panic;
use crate::port::SendPort;
use crate::port::native_port::NativePort;

/// A type without isolate state: any thread may use its values at any time, and they give no access
/// to anything that only one isolate may use.
///
/// Implement it for your own types with an empty `impl`. Types that belong to an isolate, such as
/// [`IsolateCell`](crate::IsolateCell), [`ReceivePort`](crate::ReceivePort) and
/// [`IsolateLocalCallback`](crate::IsolateLocalCallback), do not implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be free of isolate state",
    note = "if no part of it belongs to one isolate, say `impl GroupShared for {Self} {{}}`"
)]
pub trait GroupShared: Send + Sync + 'static {}

macro_rules! group_shared {
    ($($type:ty),*) => { $(impl GroupShared for $type {})* };
}

group_shared!(
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    usize,
    i8,
    i16,
    i32,
    i64,
    isize,
    f32,
    f64,
    String,
    &'static str,
    AtomicBool,
    AtomicU32,
    AtomicU64,
    AtomicUsize
);

impl<T: GroupShared> GroupShared for Arc<T> {}
impl<T: GroupShared> GroupShared for Box<T> {}
impl<T: GroupShared> GroupShared for Vec<T> {}
impl<T: GroupShared> GroupShared for Option<T> {}
impl<T: GroupShared> GroupShared for Mutex<T> {}
impl<T: GroupShared> GroupShared for of_users::Mutex<T> {}
impl<T: GroupShared> GroupShared for of_users::RwLock<T> {}
impl<T: GroupShared> GroupShared for crate::Mutex<T> {}
impl<A: GroupShared, B: GroupShared> GroupShared for (A, B) {}
impl<A: GroupShared, B: GroupShared, C: GroupShared> GroupShared for (A, B, C) {}
impl<T: Send + 'static> GroupShared for SendPort<T> {}
impl<T: Send + 'static> GroupShared for NativePort<T> {}
impl<T: Send + 'static> GroupShared for ListenerCallback<T> {}
impl<T: Send + 'static, R: Send + 'static> GroupShared for BlockingCallback<T, R> {}

/// A callback that runs at once on the thread that calls it, outside of every isolate. It may run
/// on several threads at the same time. Cheap to clone.
///
/// The handler is a plain function, so it captures nothing; its state is [`GroupShared`]. While it
/// runs there is no current isolate, even if an isolate called it.
///
/// ```
/// # insula_core::block_on(async {
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use insula_core::{GroupBoundCallback, Isolate};
/// let total = Arc::new(AtomicU64::new(0));
/// let shared = total.clone();
/// let sums = Isolate::run(|| {
///     let add = GroupBoundCallback::new(shared, |total, n: u64| {
///         total.fetch_add(n, Ordering::Relaxed);
///         Isolate::current().is_none()
///     });
///     let other = add.clone();
///     let there = std::thread::spawn(move || other.call(3)).join();
///     (add.call(4), there.ok())
/// });
/// assert_eq!(sums.await, Ok((Ok(true), Some(Ok(true)))));
/// assert_eq!(total.load(Ordering::Relaxed), 7);
/// # });
/// ```
///
/// State of an isolate is rejected at compile time:
///
/// ```compile_fail,E0277
/// use insula_core::{GroupBoundCallback, IsolateCell};
/// fn register(counter: IsolateCell<u32>) {
///     GroupBoundCallback::new(counter, |_, n: u32| n);
/// }
/// ```
pub struct GroupBoundCallback<S: GroupShared, T: 'static, R: 'static> {
    line: Line<Infallible>,
    shared: Arc<S>,
    handler: fn(&S, T) -> R,
}

impl<S: GroupShared, T: 'static, R: 'static> GroupBoundCallback<S, T, R> {
    /// Creates a callback. It belongs to the current isolate only in that the isolate's end closes
    /// it.
    ///
    /// # Panics
    /// If there is no current isolate.
    #[track_caller]
    pub fn new(shared: S, handler: fn(&S, T) -> R) -> Self {
        Self {
            line: Line::open(|call: Infallible| match call {}),
            shared: Arc::new(shared),
            handler,
        }
    }

    /// Calls the handler on this thread.
    ///
    /// # Errors
    /// [`CallbackError::Closed`] and [`CallbackError::Panicked`].
    pub fn call(&self, argument: T) -> Result<R, CallbackError<T>> {
        if self.line.is_closed() {
            return Err(CallbackError::Closed(Some(argument)));
        }
        let run = || catch_panic(|| (self.handler)(&self.shared, argument));
        Current::leave(run).map_err(CallbackError::Panicked)
    }

    /// Closes the callback, from any thread. Later calls fail; running ones continue. Returns
    /// whether the callback was open.
    pub fn close(&self) -> bool {
        self.line.close()
    }

    impl_line!(line);
}

impl<S: GroupShared, T: 'static, R: 'static> Clone for GroupBoundCallback<S, T, R> {
    fn clone(&self) -> Self {
        Self {
            line: self.line.clone(),
            shared: self.shared.clone(),
            handler: self.handler,
        }
    }
}

impl<S: GroupShared, T: 'static, R: 'static> fmt::Debug for GroupBoundCallback<S, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GroupBoundCallback")
            .field(&self.line)
            .finish()
    }
}
