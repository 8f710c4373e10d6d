//! Decodes the content of a file to upright pixels.

mod jpeg;

use std::io::Cursor;

use serde::{Deserialize, Serialize};

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, Limits};

use crate::geometry::Extent;
use crate::{IccProfile, ImageFormat, Operation, ProcessError, Size};

/// The largest number of pixels of an input, 268 megapixels. A header that claims more would make
/// the decoder reserve gigabytes.
pub const MAX_PIXELS: u64 = 1 << 28;

/// The way an input was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Decoding {
    /// At full size.
    Full,
    /// Directly to a reduced size, by omitting the high frequencies of each JPEG block.
    Reduced {
        /// 2, 4 or 8: width and height are divided by this, rounded up.
        denominator: u8,
    },
}

/// A decoded picture, upright, with 8 bits per channel: gray or RGB, with or without alpha.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) picture: DynamicImage,
    pub(crate) icc: Option<IccProfile>,
    /// The part of `picture` that shows the photo.
    pub(crate) extent: Extent,
    /// The upright size of the photo; larger than `picture` after a reduced decoding.
    pub(crate) full_size: Size,
    pub(crate) decoding: Decoding,
}

/// The pixels that the first operation needs, which limit the decoder's reduction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Demand {
    /// Every pixel.
    Everything,
    /// The pixels that this resize needs.
    Resize { size: Size, mode: crate::ResizeMode },
}

impl Demand {
    pub(crate) fn of(operations: &[Operation]) -> Self {
        match operations.first() {
            Some(&Operation::Resize { size, mode }) => Self::Resize { size, mode },
            _ => Self::Everything,
        }
    }

    /// Returns the smallest size, in stored orientation, to which the decoder may reduce.
    fn least(self, stored: Size, orientation: Orientation) -> Size {
        match self {
            Self::Everything => stored,
            Self::Resize { size, mode } => upright(
                mode.least_source(upright(stored, orientation), size),
                orientation,
            ),
        }
    }
}

/// Decodes a picture of any supported format and applies its orientation.
///
/// # Errors
/// [`ProcessError::UnknownFormat`], [`ProcessError::Decode`] or [`ProcessError::TooLarge`].
pub(crate) fn decode(bytes: &[u8], demand: Demand) -> Result<(ImageFormat, Decoded), ProcessError> {
    // The content decides. Files with the extension of another format are common, and browsers show
    // them.
    let format = ImageFormat::of_bytes(bytes).ok_or(ProcessError::UnknownFormat)?;
    let decoded = match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, demand),
        // `within_limit` decides on the size, before any pixel is decoded.
        ImageFormat::Png => PngDecoder::with_limits(Cursor::new(bytes), Limits::no_limits())
            .map_err(|error| undecodable(format, error))
            .and_then(|decoder| decode_whole(decoder, format)),
        ImageFormat::WebP => WebPDecoder::new(Cursor::new(bytes))
            .map_err(|error| undecodable(format, error))
            .and_then(|decoder| decode_whole(decoder, format)),
    }?;
    Ok((format, decoded))
}

fn decode_whole(
    mut decoder: impl ImageDecoder,
    format: ImageFormat,
) -> Result<Decoded, ProcessError> {
    let (width, height) = decoder.dimensions();
    let stored = within_limit(Size::new(width, height))?;
    // Unreadable metadata is no reason to reject the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let icc = decoder
        .icc_profile()
        .ok()
        .flatten()
        .and_then(IccProfile::new);
    let mut picture = DynamicImage::from_decoder(decoder)
        .map(in_eight_bits)
        .map_err(|error| undecodable(format, error))?;
    picture.apply_orientation(orientation);
    let full_size = upright(stored, orientation);
    let extent = Extent::whole(full_size);
    Ok(Decoded {
        picture,
        icc,
        extent,
        full_size,
        decoding: Decoding::Full,
    })
}

fn undecodable(format: ImageFormat, error: ImageError) -> ProcessError {
    let reason = match error {
        // Use the source, because the outer text repeats the format's name.
        ImageError::Decoding(error) => match std::error::Error::source(&error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        },
        other => other.to_string(),
    };
    ProcessError::Decode { format, reason }
}

fn within_limit(size: Size) -> Result<Size, ProcessError> {
    if size.pixels() > MAX_PIXELS {
        Err(ProcessError::TooLarge { size })
    } else {
        Ok(size)
    }
}

fn in_eight_bits(picture: DynamicImage) -> DynamicImage {
    use DynamicImage::{ImageLuma8, ImageLumaA8, ImageRgb8, ImageRgba8};
    match picture {
        ImageLuma8(_) | ImageLumaA8(_) | ImageRgb8(_) | ImageRgba8(_) => picture,
        deep if deep.color().has_color() && deep.color().has_alpha() => {
            ImageRgba8(deep.into_rgba8())
        }
        deep if deep.color().has_color() => ImageRgb8(deep.into_rgb8()),
        deep if deep.color().has_alpha() => ImageLumaA8(deep.into_luma_alpha8()),
        deep => ImageLuma8(deep.into_luma8()),
    }
}

/// Returns the size of a stored picture after its orientation is applied, and the reverse.
fn upright(stored: Size, orientation: Orientation) -> Size {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => stored.transposed(),
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => stored,
    }
}
