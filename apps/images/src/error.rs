//! The errors of processing a picture or a file.

use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use insula::CallError;

use crate::{ImageFormat, MAX_PIXELS, Size};

/// The reason why [`Pipeline::process`](crate::Pipeline::process) returned no picture.
///
/// The reasons of the codecs are kept as text, so that the error can be sent to another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ProcessError {
    /// The content is neither JPEG nor PNG nor WebP.
    UnknownFormat,
    /// The content is damaged, truncated, or of a kind that the codec does not support.
    Decode {
        /// The format that the first bytes show.
        format: ImageFormat,
        /// The codec's message.
        reason: String,
    },
    /// The picture has more than [`MAX_PIXELS`].
    TooLarge {
        /// The size in the header.
        size: Size,
    },
    /// The picture could not be resized.
    Resize {
        /// The resizer's message.
        reason: String,
    },
    /// The picture does not fit in the output format.
    Encode {
        /// The output format.
        format: ImageFormat,
        /// The codec's message.
        reason: String,
    },
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("not a JPEG, PNG or WebP picture"),
            Self::Decode { format, reason } => write!(f, "cannot decode {format}: {reason}"),
            Self::TooLarge { size } => {
                write!(
                    f,
                    "{size} is more than {} megapixels",
                    MAX_PIXELS / 1_000_000
                )
            }
            Self::Resize { reason } => write!(f, "cannot resize: {reason}"),
            Self::Encode { format, reason } => write!(f, "cannot encode {format}: {reason}"),
        }
    }
}

impl Error for ProcessError {}

/// The reason why a file of a run gave no output file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The input, or a folder of inputs, could not be read.
    Read(io::Error),
    /// The named file has an unsupported extension.
    Extension,
    /// The picture could not be processed.
    Process(ProcessError),
    /// The call did not return a result, for example because the worker panicked or the pool ended.
    Call(Box<CallError<ProcessError>>),
    /// The output could not be written.
    Write(io::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(reason) => write!(f, "cannot read: {reason}"),
            Self::Extension => f.write_str("not a .jpg, .jpeg, .png or .webp file"),
            Self::Process(reason) => write!(f, "{reason}"),
            Self::Call(reason) => write!(f, "not processed: {reason}"),
            Self::Write(reason) => write!(f, "cannot write the result: {reason}"),
        }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(reason) | Self::Write(reason) => Some(reason),
            Self::Process(reason) => Some(reason),
            Self::Call(reason) => Some(reason),
            Self::Extension => None,
        }
    }
}

/// A file that failed, with its reason.
#[derive(Debug)]
pub struct Failure {
    /// The input file.
    pub path: PathBuf,
    /// The reason.
    pub error: FileError,
}

impl Failure {
    /// Returns whether the file failed because a worker ended, and not for what is in it.
    pub(crate) fn is_of_worker(&self) -> bool {
        let FileError::Call(error) = &self.error else {
            return false;
        };
        matches!(**error, CallError::WorkerDied { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
