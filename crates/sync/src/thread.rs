//! Thread numbers.

use std::cell::Cell;

use crate::Serial;

crate::thread_cell! {
    /// The calling thread's number; 0 before the first use. It has no destructor, so it can be
    /// read until the thread has ended.
    static NUMBER: u64 = 0;
}

/// Returns the number of the calling thread, which no other thread ever gets. Unlike
/// [`std::thread::current`] it works until the thread has ended, even after its thread-local
/// values were destroyed.
#[inline]
pub fn thread_number() -> u64 {
    static NEXT: Serial = Serial::new();
    let number = NUMBER.with(Cell::get);
    // `Serial` begins with 1, so that no thread has the number 0.
    if number != 0 {
        return number;
    }
    let number = NEXT.next();
    NUMBER.with(|place| place.set(number));
    number
}
