//! Operations that the system has interrupted.

use std::io::{self, ErrorKind};

/// Does something until it is not interrupted. On Linux a read or write with a time-out ends so without
/// a signal handler too, when a debugger stops the process, or when it goes on after a stop.
pub(crate) fn uninterrupted(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match act() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
