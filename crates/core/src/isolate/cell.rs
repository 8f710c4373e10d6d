//! State that is shared inside one isolate: [`IsolateCell`] and `isolate_local!`.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::memory::Current;

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

/// An isolate's copies of the statics that `isolate_local!` declares.
///
/// A copy is made once. It is dropped in the teardown, the newest first, when everything else of
/// the isolate is gone; from then on it is gone too, also for its own destructor.
#[derive(Default)]
pub(crate) struct Locals {
    /// By the address of the static. `None` once it is dropped.
    copies: HashMap<usize, Option<Rc<dyn Any>>>,
    /// Those that are not dropped, in the order in which they were made.
    made: Vec<usize>,
}

impl Locals {
    fn get(&self, key: usize) -> Result<Option<Rc<dyn Any>>, LocalError> {
        match self.copies.get(&key) {
            None => Ok(None),
            Some(Some(copy)) => Ok(Some(copy.clone())),
            Some(None) => Err(LocalError::Dropped),
        }
    }

    /// Keeps a new copy, and returns the one to use: an earlier one, if making this one has made
    /// that.
    fn keep(&mut self, key: usize, copy: &Rc<dyn Any>) -> Result<Rc<dyn Any>, LocalError> {
        if let Some(before) = self.get(key)? {
            return Ok(before);
        }
        self.copies.insert(key, Some(copy.clone()));
        self.made.push(key);
        Ok(copy.clone())
    }

    /// Takes the newest copy, whose static has none from here on.
    pub(crate) fn take_newest(&mut self) -> Option<Rc<dyn Any>> {
        let key = self.made.pop()?;
        self.copies.get_mut(&key)?.take()
    }
}

/// Why there is no copy of an `isolate_local!`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LocalError {
    /// There is no current isolate.
    NoIsolate,
    /// The isolate has ended, and its copy has been dropped, or is just being dropped.
    Dropped,
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoIsolate => "an isolate local needs a current isolate",
            Self::Dropped => "the isolate has ended, and dropped its copy of this isolate local",
        })
    }
}

impl std::error::Error for LocalError {}

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
    /// the isolate: behind its tasks, timers and ports, the newest copy first.
    ///
    /// # Panics
    /// If there is no current isolate. Also when the copy has been dropped, which its own
    /// destructor, and those of older copies, may find: see [`try_with`](Self::try_with).
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`with`](Self::with).
    ///
    /// # Errors
    /// Where `with` panics.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, LocalError> {
        let key = std::ptr::from_ref(self).addr();
        let copy = Current::with(|isolate| {
            let isolate = isolate.ok_or(LocalError::NoIsolate)?;
            if let Some(found) = isolate.with_events(|events| events.locals.get(key))? {
                return Ok(found);
            }
            let copy: Rc<dyn Any> = Rc::new((self.init)());
            let kept = isolate.with_events(|events| events.locals.keep(key, &copy));
            // A copy too many may panic in its destructor. At the end of the closure that would
            // leak what is returned, which the compiler does not drop then.
            drop(copy);
            kept
        })?;
        match copy.downcast_ref::<T>() {
            Some(copy) => Ok(f(copy)),
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
