//! One picture, from file content to file content.

use std::time::{Duration, Instant};

use fast_image_resize::Resizer;
use image::DynamicImage;

use crate::decode::{self, Decoded, Demand};
use crate::encode::encode;
use crate::resize::resize;
use crate::sharpen::sharpen;
use crate::{Operation, ProcessError, ProcessImage, ProcessedImage, Size, Timings};

/// Processes pictures one after the other. The state of one worker: it keeps buffers that the
/// next picture uses again, and nothing that a picture could leave behind for the next one.
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
    /// A pipeline with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes, applies the operations in order, and encodes.
    ///
    /// # Blocking
    /// Computes for milliseconds to seconds and never waits for anything.
    ///
    /// # Errors
    /// See [`ProcessError`]. The pipeline stays usable after any of them.
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
            mut picture,
            icc,
            full_size,
            decoding,
        } = decoded;
        let decode = watch.lap();
        let mut size = full_size;
        for operation in operations {
            (picture, size) = self.apply(operation, picture, size)?;
        }
        let operations = watch.lap();
        let format = format.unwrap_or(source_format);
        let bytes = encode(picture, icc, format, quality)?;
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

    /// `size` is that of the picture, except that after a reduced decoding it still is that of
    /// the whole picture: the first resize must come to the same shape either way.
    fn apply(
        &mut self,
        operation: Operation,
        mut picture: DynamicImage,
        size: Size,
    ) -> Result<(DynamicImage, Size), ProcessError> {
        match operation {
            Operation::Resize { size: wanted, mode } => {
                let target = mode.target(size, wanted);
                if Size::new(picture.width(), picture.height()) != target {
                    picture = resize(&mut self.resizer, &picture, target, mode)?;
                }
                return Ok((picture, target));
            }
            Operation::Sharpen { amount } => sharpen(&mut picture, amount),
            Operation::ColorCorrection(correction) => correction.apply(&mut picture),
        }
        Ok((picture, size))
    }
}

struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start or the last lap.
    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}
