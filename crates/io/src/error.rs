//! The errors of this crate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::IoOp;

/// The error of a failed operation.
#[derive(Debug)]
#[non_exhaustive]
pub enum IoError {
    /// The request is invalid, such as a path with a zero byte. The Dart VM's error 1.
    Argument(OsError),
    /// The operating system refused the request. The Dart VM's error 2.
    Os(OsError),
    /// The file, listing or filter has been closed. The Dart VM's error 3.
    Closed,
    /// The file, listing or filter has an operation under way, and allows one at a time.
    Pending,
    /// The service is closed, or the operation panicked.
    Unavailable,
}

/// An error of the operating system, and the operation that it belongs to.
#[derive(Debug)]
pub struct OsError {
    error: io::Error,
    code: Option<i32>,
    what: What,
    path: Option<PathBuf>,
    transferred: usize,
}

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Operation(IoOp),
    Socket(&'static str),
}

impl OsError {
    /// Returns the error's number, if the operating system gave one: that of `errno`, on Windows
    /// of `GetLastError`, and for look-ups of `getaddrinfo`.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// Returns the kind of error, which is the same on all systems.
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }

    /// Returns the operation that failed, or `None` for sockets, which do not use the service.
    pub fn operation(&self) -> Option<IoOp> {
        match self.what {
            What::Operation(op) => Some(op),
            What::Socket(_) => None,
        }
    }

    /// Returns the path that the operation was about, if any.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the number of bytes read or written before the error. They have taken effect.
    pub fn transferred(&self) -> usize {
        self.transferred
    }

    /// Returns the error of the standard library.
    pub fn as_io_error(&self) -> &io::Error {
        &self.error
    }
}

impl IoError {
    pub(crate) fn of(op: IoOp, error: io::Error) -> Self {
        Self::new(What::Operation(op), error, None, 0)
    }

    pub(crate) fn at(op: IoOp, path: &Path, error: io::Error) -> Self {
        Self::new(What::Operation(op), error, Some(path.to_owned()), 0)
    }

    /// The error of an operation that transferred some bytes first.
    pub(crate) fn after(op: IoOp, transferred: usize, error: io::Error) -> Self {
        Self::new(What::Operation(op), error, None, transferred)
    }

    /// The error of a look-up, which has a number of its own.
    pub(crate) fn lookup(op: IoOp, error: dns_lookup::LookupError) -> Self {
        let code = error.error_num();
        let mut this = Self::of(op, error.into());
        // Of a system error the conversion keeps `errno`, which says more than the resolver's
        // number.
        if let Self::Argument(error) | Self::Os(error) = &mut this
            && error.code.is_none()
            && code != 0
        {
            error.code = Some(code);
        }
        this
    }

    pub(crate) fn socket(what: &'static str, error: io::Error) -> Self {
        Self::new(What::Socket(what), error, None, 0)
    }

    pub(crate) fn socket_after(what: &'static str, transferred: usize, error: io::Error) -> Self {
        Self::new(What::Socket(what), error, None, transferred)
    }

    fn new(what: What, error: io::Error, path: Option<PathBuf>, transferred: usize) -> Self {
        // Without a number the error is of a check in the standard library, before the call.
        let is_argument =
            error.kind() == io::ErrorKind::InvalidInput && error.raw_os_error().is_none();
        let error = OsError {
            code: error.raw_os_error(),
            error,
            what,
            path,
            transferred,
        };
        if is_argument {
            Self::Argument(error)
        } else {
            Self::Os(error)
        }
    }

    /// Returns the error of the operating system or of the check of the arguments, if it is one.
    pub fn os_error(&self) -> Option<&OsError> {
        match self {
            Self::Argument(error) | Self::Os(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the error's number, if the operating system gave one.
    pub fn code(&self) -> Option<i32> {
        self.os_error()?.code()
    }

    /// Returns the kind of error, which is the same on all systems.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Argument(error) | Self::Os(error) => error.kind(),
            Self::Closed => io::ErrorKind::BrokenPipe,
            Self::Pending => io::ErrorKind::ResourceBusy,
            Self::Unavailable => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Operation(op) => write!(f, "cannot {op}")?,
            What::Socket(what) => write!(f, "cannot {what}")?,
        }
        if let Some(path) = &self.path {
            write!(f, " at '{}'", path.display())?;
        }
        if self.transferred != 0 {
            write!(f, " beyond {} bytes", self.transferred)?;
        }
        write!(f, ": {}", self.error)
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(error) | Self::Os(error) => error.fmt(f),
            Self::Closed => f.write_str("the file is closed"),
            Self::Pending => f.write_str("an asynchronous operation is pending"),
            Self::Unavailable => f.write_str("the I/O service did not answer"),
        }
    }
}

impl std::error::Error for OsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl std::error::Error for IoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.os_error()
            .map(|error| &error.error as &(dyn std::error::Error + 'static))
    }
}

impl From<IoError> for io::Error {
    fn from(error: IoError) -> Self {
        match error {
            // The bare error: wrapped in another one it would lose `raw_os_error`, for which
            // callers of `std` look. The operation and the path are lost instead.
            IoError::Argument(error) | IoError::Os(error) => error.error,
            other => Self::new(other.kind(), other),
        }
    }
}
