//! State that is shared inside one isolate: [`IsolateCell`] and `isolate_local!`.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::isolate::Current;

/// A value that tasks and handlers of one isolate share.
///
/// It is `Send` and `Sync`, and so may be captured by everything that runs in the isolate,
/// because only the isolate that made it can open it.
///
/// ```
/// # insula_core::block_on(async {
/// use insula_core::{Isolate, IsolateCell, schedule_microtask, yield_now};
/// let result = Isolate::run_async(async || {
///     let count = IsolateCell::new(0);
///     let shared = count.clone();
///     schedule_microtask(move || shared.with(|count| *count += 1));
///     yield_now().await;
///     count.with(|count| *count)
/// });
/// assert_eq!(result.await, Ok(1));
/// # });
/// ```
pub struct IsolateCell<T>(Arc<Inner<T>>);

struct Inner<T> {
    isolate: u64,
    open: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: `open` and `value` are only touched by the isolate that made the cell, which runs on
// one thread at a time; the last clone may be dropped anywhere, which `T: Send` allows.
unsafe impl<T: Send> Send for Inner<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Inner<T> {}

/// Why a cell could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CellError {
    /// The current isolate, if there is one, is not the cell's.
    OtherIsolate,
    /// It is open already, further up the stack.
    Open,
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherIsolate => "an IsolateCell can only be opened by the isolate that made it",
            Self::Open => "the IsolateCell is open already",
        })
    }
}

impl std::error::Error for CellError {}

impl<T: Send + 'static> IsolateCell<T> {
    /// Makes a cell of the current isolate.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn new(value: T) -> Self {
        let isolate =
            Current::with(|isolate| isolate.expect("an IsolateCell needs a current isolate").id);
        Self(Arc::new(Inner {
            isolate,
            open: Cell::new(false),
            value: UnsafeCell::new(value),
        }))
    }

    /// Opens the cell for the time of `f`.
    ///
    /// # Panics
    /// In another isolate, and while it is open already.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.try_with(f).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`with`](Self::with).
    ///
    /// # Errors
    /// Where `with` panics.
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, CellError> {
        let inner = &*self.0;
        let here = Current::with(|isolate| isolate.is_some_and(|it| it.id == inner.isolate));
        if !here {
            return Err(CellError::OtherIsolate);
        }
        if inner.open.replace(true) {
            return Err(CellError::Open);
        }
        let _close = Close(&inner.open);
        // SAFETY: this is the cell's isolate, and `open` keeps a second reference away until
        // `_close` is dropped, also if `f` panics.
        Ok(f(unsafe { &mut *inner.value.get() }))
    }
}

struct Close<'a>(&'a Cell<bool>);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<T> Clone for IsolateCell<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for IsolateCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsolateCell")
            .field("isolate", &self.0.isolate)
            .finish_non_exhaustive()
    }
}

/// A static of which each isolate has its own copy. Declared by
/// [`isolate_local!`](crate::isolate_local).
pub struct IsolateLocal<T: 'static> {
    init: fn() -> T,
}

impl<T: Send + 'static> IsolateLocal<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// Runs `f` with the current isolate's copy, which is made on first use and dropped with
    /// the isolate.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let key = std::ptr::from_ref(self).addr();
        let value = Current::with(|isolate| {
            let isolate = isolate.expect("an isolate local needs a current isolate");
            let found = isolate.with_events(|events| events.locals.get(&key).cloned());
            found.unwrap_or_else(|| {
                let value: Rc<dyn std::any::Any> = Rc::new((self.init)());
                isolate.with_events(|events| events.locals.insert(key, value.clone()));
                value
            })
        });
        match value.downcast_ref::<T>() {
            Some(value) => f(value),
            None => unreachable!("the key's address belongs to one static of one type"),
        }
    }
}

impl<T> fmt::Debug for IsolateLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IsolateLocal")
    }
}

/// Declares statics of which each isolate has its own copy.
///
/// ```
/// use std::cell::Cell;
/// insula_core::isolate_local! {
///     static COUNT: Cell<u32> = Cell::new(0);
/// }
/// let next = || COUNT.with(|count| count.replace(count.get() + 1));
/// let first = insula_core::Isolate::run(move || (next(), next())).wait();
/// assert_eq!(first, Ok((0, 1)));
/// assert_eq!(insula_core::Isolate::run(next).wait(), Ok(0));
/// ```
#[macro_export]
macro_rules! isolate_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr;)*) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::IsolateLocal<$type> = {
            fn init() -> $type {
                $init
            }
            $crate::IsolateLocal::new(init)
        };
    )*};
}
