//! What the streams of the server and of the client have in common.

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

/// Does the same with either kind of a `Stream` of the caller, which has the kinds `Tcp` and, on Unix,
/// `Unix`.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            #[cfg(unix)]
            Stream::Unix($inner) => $call,
        }
    };
}

pub(crate) use either;
