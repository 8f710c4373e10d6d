//! The requests to the image service, and its answers.
//!
//! All types are plain values that own their data, so they can be moved between isolates.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use insula::memory::{Segment, SegmentPool};
use serde::{Deserialize, Serialize};

use crate::{ColorCorrection, Decoding, Failure, FileError, ImageFormat, ResizeMode, Size};

/// The undecoded content of one picture file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RawImage {
    /// The path of the file. It names the picture in results and errors, and is not opened again.
    #[serde(with = "command::portable")]
    pub path: PathBuf,
    /// The content of the file.
    pub bytes: Segment,
}

/// The memory of files: each of them has its own, which a worker in another process maps.
pub(crate) const MEMORY: SegmentPool = SegmentPool::new(1 << 16);

impl RawImage {
    /// Reads the whole file at `path`.
    ///
    /// # Blocking
    /// Waits for the disk.
    ///
    /// # Errors
    /// [`FileError::Read`] with the error of the operating system.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        match read(path) {
            Ok(bytes) => Ok(Self {
                path: path.to_owned(),
                bytes,
            }),
            Err(reason) => Err(Failure {
                path: path.to_owned(),
                error: FileError::Read(reason),
            }),
        }
    }
}

fn read(path: &Path) -> io::Result<Segment> {
    let mut file = File::open(path)?;
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // What has no length of its own, such as a pipe, has the length zero.
    if let Ok(mut memory) = MEMORY.allocate(len)
        && len > 0
    {
        file.read_exact(&mut memory)?;
        return memory.freeze().map_err(|frozen| frozen.error);
    }
    fs::read(path).map(Segment::from)
}

/// One step between decoding and encoding. Steps run in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Brings the picture to a size (Lanczos, three lobes). As the first operation it lets a
    /// large JPEG be decoded straight to a reduced size.
    Resize {
        /// The wanted size.
        size: Size,
        /// The behavior if the picture has another shape.
        mode: ResizeMode,
    },
    /// Strengthens fine detail: adds `amount` times the difference between the picture and a
    /// blurred copy. 0 changes nothing, 0.5 is moderate, 1 and more is strong.
    Sharpen {
        /// At least 0.
        amount: f32,
    },
    /// Changes brightness, contrast and saturation.
    ColorCorrection(ColorCorrection),
}

/// A request to process one picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessImage {
    /// The picture.
    pub image: RawImage,
    /// The steps, in order.
    pub operations: Vec<Operation>,
    /// The format of the result; `None` keeps the format of the input.
    pub format: Option<ImageFormat>,
    /// JPEG quality from 1 to 100; values outside are clamped. PNG and WebP are written lossless
    /// and ignore it.
    pub quality: u8,
}

/// One finished picture, encoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessedImage {
    /// [`RawImage::path`] of the request.
    #[serde(with = "command::portable")]
    pub path: PathBuf,
    /// The content of the new file.
    pub bytes: Segment,
    /// The format of `bytes`.
    pub format: ImageFormat,
    /// The size of the new picture.
    pub size: Size,
    /// The size of the input with its orientation applied.
    pub source_size: Size,
    /// The way the input was decoded.
    pub decoding: Decoding,
    /// The time of each stage.
    pub timings: Timings,
}

/// Time spent on one picture, by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// From file content to upright pixels.
    pub decode: Duration,
    /// All operations.
    pub operations: Duration,
    /// From pixels to file content.
    pub encode: Duration,
}

impl Timings {
    /// Returns the sum of the stages.
    pub fn total(&self) -> Duration {
        self.decode + self.operations + self.encode
    }
}

/// Progress of a whole run, sent once per batch.
///
/// # Ordering
/// `processed` never decreases; the last update has `processed == total` unless the run was
/// interrupted. Pictures come in the order in which they were finished.
#[derive(Debug)]
pub struct BatchUpdate {
    /// Pictures done so far, including this batch and failed ones.
    pub processed: usize,
    /// The number of pictures of the run.
    pub total: usize,
    /// `processed / total`, from 0 to 1.
    pub progress: f64,
    /// The pictures of this batch, or the reasons why they failed.
    pub batch: Vec<Result<ProcessedImage, Failure>>,
}
