//! JPEG: two decoders, one for the whole picture and one for reduced ones.
//!
//! Decoding is most of the work on a photo, and a JPEG can be decoded directly to 1/2, 1/4 or 1/8
//! of its size. `zune-jpeg` is the faster decoder but cannot reduce; `jpeg-decoder` can. So the
//! first decodes headers and whole pictures, the second reduced pictures.
//!
//! Measured on 2026-11-21, two cores, one picture at a time, 12 megapixels to 800x600 with
//! sharpening and correction, JPEG of quality 85: 15.1 pictures per second from a full decode, 28.4
//! from a reduced one (a photo of 1.4 MB); 11.9 and 20.0 (a detailed photo of 3.3 MB). Progressive
//! files gain little (5.0 and 6.1), since most of their cost comes before the part that is left
//! out. `jpeg-decoder` starts a short-lived thread per color component of a large picture; per
//! second of CPU time the first pair is 14.8 and 23.7.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::PixelFormat;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{Decoded, Decoding, Demand, upright, within_limit};
use crate::geometry::Extent;
use crate::{IccProfile, ImageFormat, ProcessError, Size};

/// The data of the headers.
struct Headers {
    stored: Size,
    orientation: Orientation,
    icc: Option<IccProfile>,
    colors: ColorSpace,
}

pub(super) fn decode(bytes: &[u8], demand: Demand) -> Result<Decoded, ProcessError> {
    let headers = read_headers(bytes)?;
    let stored = within_limit(headers.stored)?;
    let least = demand.least(stored, headers.orientation);
    let reduced = match denominator(stored, least) {
        // The reducing decoder returns CMYK as it is stored. The other one converts it to RGB.
        Some(denominator) if !is_cmyk(headers.colors) => {
            decode_reduced(bytes, stored, denominator)?
                .map(|picture| (picture, Decoding::Reduced { denominator }))
        }
        _ => None,
    };
    let (mut picture, decoding) = match reduced {
        Some(reduced) => reduced,
        None => (decode_full(bytes, &headers)?, Decoding::Full),
    };
    picture.apply_orientation(headers.orientation);
    let full_size = upright(stored, headers.orientation);
    let extent = match decoding {
        Decoding::Full => Extent::whole(full_size),
        Decoding::Reduced { denominator } => extent(stored, denominator, headers.orientation),
    };
    Ok(Decoded {
        picture,
        icc: headers.icc,
        extent,
        full_size,
        decoding,
    })
}

fn read_headers(bytes: &[u8]) -> Result<Headers, ProcessError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(undecodable)?;
    let (width, height) = decoder
        .dimensions()
        .ok_or_else(|| undecodable("no picture"))?;
    let exif = decoder.exif();
    Ok(Headers {
        // A JPEG stores its size in 16 bits, so the casts are lossless.
        stored: Size::new(width as u32, height as u32),
        orientation: exif
            .and_then(|exif| Orientation::from_exif_chunk(exif))
            .unwrap_or(Orientation::NoTransforms),
        icc: decoder.icc_profile().and_then(IccProfile::new),
        colors: decoder
            .input_colorspace()
            .ok_or_else(|| undecodable("no color space"))?,
    })
}

/// Returns the largest reduction whose result has at least the size `least`.
fn denominator(stored: Size, least: Size) -> Option<u8> {
    [8, 4, 2]
        .into_iter()
        .find(|&d| stored.divided_by(d.into()).covers(least))
}

/// Decodes to 1/`denominator`. Returns `None` if this decoder cannot give gray or RGB.
fn decode_reduced(
    bytes: &[u8],
    stored: Size,
    denominator: u8,
) -> Result<Option<DynamicImage>, ProcessError> {
    let wanted = stored.divided_by(denominator.into());
    // The decoder has threads of its own for the inverse transforms, for the time of one picture,
    // and no option to turn them off. At a reduced size they have little work: with one worker, the
    // sample photos took 0.77 s for 0.79 s of CPU time (2026-11-21, `images samples/photos
    // --workers 1`).
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    // A part of a 16-bit number fits in 16 bits.
    let (width, height) = decoder
        .scale(wanted.width as u16, wanted.height as u16)
        .map_err(undecodable)?;
    // `scale` chooses among the sizes that it can make. The photo's place is computed for this one.
    if Size::new(width.into(), height.into()) != wanted {
        return Ok(None);
    }
    let pixels = decoder.decode().map_err(undecodable)?;
    let format = decoder.info().map(|info| info.pixel_format);
    Ok(match format {
        Some(PixelFormat::L8) => gray(wanted, pixels),
        Some(PixelFormat::RGB24) => rgb(wanted, pixels),
        _ => None,
    })
}

/// Returns the photo's place in the upright reduced picture. The decoder rounds up at the right and
/// at the bottom as stored; this finds the sides of that excess in the upright picture.
fn extent(stored: Size, denominator: u8, orientation: Orientation) -> Extent {
    let part = |length: u32| f64::from(length) / f64::from(denominator);
    let (width, height) = (part(stored.width), part(stored.height));
    let (right, bottom) = (width.ceil() - width, height.ceil() - height);
    let (left, top, width, height) = match orientation {
        Orientation::NoTransforms => (0.0, 0.0, width, height),
        Orientation::FlipHorizontal => (right, 0.0, width, height),
        Orientation::Rotate180 => (right, bottom, width, height),
        Orientation::FlipVertical => (0.0, bottom, width, height),
        Orientation::Rotate90FlipH => (0.0, 0.0, height, width),
        Orientation::Rotate90 => (bottom, 0.0, height, width),
        Orientation::Rotate270FlipH => (bottom, right, height, width),
        Orientation::Rotate270 => (0.0, right, height, width),
    };
    Extent {
        left,
        top,
        width,
        height,
    }
}

fn decode_full(bytes: &[u8], headers: &Headers) -> Result<DynamicImage, ProcessError> {
    let is_gray = headers.colors == ColorSpace::Luma;
    let colors = if is_gray {
        ColorSpace::Luma
    } else {
        ColorSpace::RGB
    };
    let options = options().jpeg_set_out_colorspace(colors);
    let pixels = JpegDecoder::new_with_options(ZCursor::new(bytes), options)
        .decode()
        .map_err(undecodable)?;
    let picture = if is_gray {
        gray(headers.stored, pixels)
    } else {
        rgb(headers.stored, pixels)
    };
    picture.ok_or_else(|| undecodable("fewer pixels than the header promises"))
}

/// Strict, because the lenient mode silently fills the missing part of a truncated file with gray.
fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(true)
        // The default limits are lower than what a JPEG can store; `within_limit` has the last
        // word.
        .set_max_width(u16::MAX.into())
        .set_max_height(u16::MAX.into())
}

fn is_cmyk(colors: ColorSpace) -> bool {
    matches!(colors, ColorSpace::CMYK | ColorSpace::YCCK)
}

fn gray(size: Size, pixels: Vec<u8>) -> Option<DynamicImage> {
    GrayImage::from_raw(size.width, size.height, pixels).map(DynamicImage::ImageLuma8)
}

fn rgb(size: Size, pixels: Vec<u8>) -> Option<DynamicImage> {
    RgbImage::from_raw(size.width, size.height, pixels).map(DynamicImage::ImageRgb8)
}

fn undecodable(reason: impl ToString) -> ProcessError {
    let reason = reason.to_string().trim_end().to_owned();
    ProcessError::Decode {
        format: ImageFormat::Jpeg,
        reason,
    }
}
