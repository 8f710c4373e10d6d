//! Why a picture could not be made.

use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

use insula::CallError;

use crate::{ImageFormat, MAX_PIXELS, Size};

/// Why [`Pipeline::process`](crate::Pipeline::process) gave no picture.
///
/// The reasons of the codecs are kept as text, so that the error can cross to another process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessError {
    /// The content is neither JPEG nor PNG nor WebP.
    UnknownFormat,
    /// The content is damaged, cut short, or of a kind that the codec does not know.
    Decode {
        /// The format that the first bytes promise.
        format: ImageFormat,
        /// What the codec says.
        reason: String,
    },
    /// The picture has more than [`MAX_PIXELS`].
    TooLarge {
        /// Its size as the header states it.
        size: Size,
    },
    /// The picture could not be resized.
    Resize {
        /// What the kernel says.
        reason: String,
    },
    /// The picture does not fit the output format.
    Encode {
        /// The output format.
        format: ImageFormat,
        /// What the codec says.
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

/// Why one file of a run gave no output file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The input, or a folder of inputs, could not be read.
    Read(io::Error),
    /// A file was named whose extension is none of those that are read.
    Extension,
    /// The picture could not be made.
    Process(ProcessError),
    /// The worker that had it, or the whole pool, did not get to a result; a panic is among the
    /// reasons.
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

/// A file that could not be turned into a picture, with its reason.
#[derive(Debug)]
pub struct Failure {
    /// The input file.
    pub path: PathBuf,
    /// The reason.
    pub error: FileError,
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
