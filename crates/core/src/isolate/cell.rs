//! State shared within one isolate: [`IsolateCell`] and `isolate_local!`.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::memory::Current;

/// A value that the tasks and handlers of one isolate share.
///
/// Only the isolate that made a cell can open it. A cell is therefore `Send` and `Sync`, and
/// everything that runs in the isolate may capture it.
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

// SAFETY: `try_with` lets only the isolate that made the cell touch `open` and `value`, and that
// runs on one thread at a time. The last clone may be dropped on any thread, as `T: Send` allows.
unsafe impl<T: Send> Send for Inner<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Inner<T> {}

/// An error of [`IsolateCell::try_with`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CellError {
    /// There is no current isolate, or it is not the one that made the cell.
    OtherIsolate,
    /// The cell is open already, further up the stack.
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
    /// Creates a cell of the current isolate.
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

    /// Opens the cell while `f` runs.
    ///
    /// # Panics
    /// If the current isolate did not make the cell, or if the cell is open already.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.try_with(f).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Like [`with`](Self::with), but returns an error instead of panicking.
    ///
    /// # Errors
    /// In the cases in which `with` panics.
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
        // SAFETY: the cell's isolate runs on this thread alone, and `open` prevents a second
        // reference until `_close` is dropped, also if `f` panics.
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

/// An isolate's copies of the statics declared by `isolate_local!`.
///
/// Each copy is made once. The teardown drops the copies, the newest first, after everything else
/// of the isolate. A dropped copy is not made again, not even for its own destructor: a destructor
/// that uses its own static would otherwise never end.
#[derive(Default)]
pub(crate) struct Locals {
    /// Keyed by the address of the static. `None` once the copy is dropped.
    copies: HashMap<usize, Option<Rc<dyn Any>>>,
    /// The keys of the copies that are not dropped, in the order in which they were made.
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

    /// Stores a new copy and returns it. If the initializer has itself made a copy for this key,
    /// returns that one instead.
    fn keep(&mut self, key: usize, copy: &Rc<dyn Any>) -> Result<Rc<dyn Any>, LocalError> {
        if let Some(before) = self.get(key)? {
            return Ok(before);
        }
        self.copies.insert(key, Some(copy.clone()));
        self.made.push(key);
        Ok(copy.clone())
    }

    /// Takes the newest copy. Its key counts as dropped from then on.
    pub(crate) fn take_newest(&mut self) -> Option<Rc<dyn Any>> {
        let key = self.made.pop()?;
        self.copies.get_mut(&key)?.take()
    }
}

/// An error of [`IsolateLocal::try_with`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LocalError {
    /// There is no current isolate.
    NoIsolate,
    /// The isolate has ended, and its copy is dropped or is being dropped.
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

/// A static with one copy per isolate. Declared by [`isolate_local!`](crate::isolate_local).
pub struct IsolateLocal<T: 'static> {
    init: fn() -> T,
}

impl<T: Send + 'static> IsolateLocal<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// Runs `f` with the current isolate's copy. The copy is made on first use, and dropped when
    /// the isolate ends: after its tasks, timers and ports, the newest copy first.
    ///
    /// # Panics
    /// If there is no current isolate, or if the copy has been dropped. The latter can happen in
    /// the copy's own destructor and in those of older copies: see [`try_with`](Self::try_with).
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Like [`with`](Self::with), but returns an error instead of panicking.
    ///
    /// # Errors
    /// In the cases in which `with` panics.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, LocalError> {
        let key = std::ptr::from_ref(self).addr();
        let copy = Current::with(|isolate| {
            let isolate = isolate.ok_or(LocalError::NoIsolate)?;
            if let Some(found) = isolate.with_events(|events| events.locals.get(key))? {
                return Ok(found);
            }
            // Outside of `with_events`: the initializer is code of a user, and may use this or
            // another local.
            let copy: Rc<dyn Any> = Rc::new((self.init)());
            let kept = isolate.with_events(|events| events.locals.keep(key, &copy));
            // A surplus copy may panic in its destructor. Dropped here, because at the end of the
            // closure such a panic would leak the return value (rust-lang/rust#47949).
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

/// Declares statics with one copy per isolate.
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
