//! Processes one picture, from file content to file content.

use std::time::{Duration, Instant};

use fast_image_resize::Resizer;
use image::DynamicImage;

use crate::decode::{self, Decoded, Demand};
use crate::encode::encode;
use crate::geometry::Extent;
use crate::request::MEMORY;
use crate::resize::resize;
use crate::sharpen::sharpen;
use crate::{Operation, ProcessError, ProcessImage, ProcessedImage, Size, Timings};

/// Processes pictures one after the other. The state of one worker: it keeps buffers for reuse by
/// the next picture, and no other trace of a picture.
///
/// ```
/// use images::{ImageFormat, Operation, Pipeline, ProcessImage, RawImage, ResizeMode, Size};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/photos");
/// let request = ProcessImage {
///     image: RawImage::load(&folder.join("pagoda.jpg"))?,
///     operations: vec![
///         Operation::Resize { size: Size::new(160, 120), mode: ResizeMode::Fill },
///         Operation::Sharpen { amount: 0.5 },
///     ],
///     format: Some(ImageFormat::Png),
///     quality: 85,
/// };
/// let picture = Pipeline::new().process(request)?;
/// assert_eq!(picture.size, Size::new(160, 120));
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Pipeline {
    resizer: Resizer,
}

impl Pipeline {
    /// Creates a pipeline with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes the picture, applies the operations in order, and encodes the result.
    ///
    /// # Blocking
    /// Computes for milliseconds to seconds, and never waits.
    ///
    /// # Errors
    /// See [`ProcessError`]. The pipeline stays usable after every error.
    pub fn process(&mut self, request: ProcessImage) -> Result<ProcessedImage, ProcessError> {
        let ProcessImage {
            image,
            operations,
            format,
            quality,
        } = request;
        let mut watch = Stopwatch::start();
        let demand = Demand::of(&operations);
        let (source_format, decoded) = decode::decode(&image.bytes, demand)?;
        let Decoded {
            picture,
            icc,
            extent,
            full_size,
            decoding,
        } = decoded;
        let decode = watch.lap();
        let mut stage = Stage {
            picture,
            extent,
            size: full_size,
        };
        for operation in operations {
            stage = self.apply(operation, stage)?;
        }
        let Stage { picture, size, .. } = stage;
        let operations = watch.lap();
        let format = format.unwrap_or(source_format);
        let bytes = encode(picture, icc, format, quality)?;
        // Without memory of its own it is copied, where it goes to another process.
        let bytes = MEMORY.copy_of(&bytes).unwrap_or_else(|_| bytes.into());
        let timings = Timings {
            decode,
            operations,
            encode: watch.lap(),
        };
        let (path, source_size) = (image.path, full_size);
        Ok(ProcessedImage {
            path,
            bytes,
            format,
            size,
            source_size,
            decoding,
            timings,
        })
    }

    fn apply(&mut self, operation: Operation, mut stage: Stage) -> Result<Stage, ProcessError> {
        match operation {
            Operation::Resize { size, mode } => {
                let Stage {
                    picture,
                    extent,
                    size: current,
                } = stage;
                let target = mode.target(current, size);
                // The filter would return the same pixels, after a pass over all of them.
                let resized = if extent == Extent::whole(target) {
                    picture
                } else {
                    resize(&mut self.resizer, &picture, extent, target, mode)?
                };
                stage = Stage {
                    picture: resized,
                    extent: Extent::whole(target),
                    size: target,
                };
            }
            Operation::Sharpen { amount } => sharpen(&mut stage.picture, amount),
            Operation::ColorCorrection(correction) => correction.apply(&mut stage.picture),
        }
        Ok(stage)
    }
}

/// A picture between two operations.
struct Stage {
    picture: DynamicImage,
    extent: Extent,
    /// The size of the picture, but after a reduced decoding still that of the whole photo: the
    /// first resize must give the same shape in both cases.
    size: Size,
}

struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start or the last lap.
    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}
