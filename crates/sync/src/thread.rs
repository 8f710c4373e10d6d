//! Numbers of threads.

use std::cell::Cell;

use crate::Serial;

crate::thread_cell! {
    /// This thread's own number; 0 until it is asked for.
    static NUMBER: u64 = 0;
}

/// Returns the number of the calling thread, which is never used again. Other than
/// [`std::thread::current`] it does so to the very end of the thread, also when its thread-local
/// values are gone.
#[inline]
pub fn thread_number() -> u64 {
    static NEXT: Serial = Serial::new();
    let number = NUMBER.with(Cell::get);
    if number != 0 {
        return number;
    }
    let number = NEXT.next();
    NUMBER.with(|place| place.set(number));
    number
}
