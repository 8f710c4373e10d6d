//! Encodes pixels as the content of a file.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, GrayImage, ImageEncoder, RgbImage};
use jpeg_encoder::ColorType;

use crate::{IccProfile, ImageFormat, ProcessError};

/// Encodes `picture`, with its profile if that still describes the pixels.
///
/// JPEG has no alpha: transparent parts become white.
pub(crate) fn encode(
    picture: DynamicImage,
    icc: Option<IccProfile>,
    format: ImageFormat,
    quality: u8,
) -> Result<Vec<u8>, ProcessError> {
    let icc = icc.filter(|icc| icc.describes(&picture));
    let encoded = match format {
        ImageFormat::Jpeg => encode_jpeg(&on_white(picture), icc, quality),
        ImageFormat::Png => encode_png(&picture, icc),
        // WebP stores gray pictures as RGB, which a gray profile does not describe.
        ImageFormat::WebP => encode_webp(&picture, icc.filter(|icc| !icc.is_gray())),
    };
    encoded.map_err(|reason| ProcessError::Encode { format, reason })
}

fn encode_jpeg(
    picture: &DynamicImage,
    icc: Option<IccProfile>,
    quality: u8,
) -> Result<Vec<u8>, String> {
    let side = |length: u32| {
        u16::try_from(length).map_err(|_| format!("{length} pixels on one side, 65535 at most"))
    };
    let (width, height) = (side(picture.width())?, side(picture.height())?);
    // Gray stays gray: three equal channels would be larger, and a gray profile would not describe
    // them.
    let kind = if picture.color().has_color() {
        ColorType::Rgb
    } else {
        ColorType::Luma
    };
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality.clamp(1, 100));
    if let Some(icc) = icc {
        encoder
            .add_icc_profile(icc.bytes())
            .map_err(|error| error.to_string())?;
    }
    encoder
        .encode(picture.as_bytes(), width, height, kind)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn encode_png(picture: &DynamicImage, icc: Option<IccProfile>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    write_lossless(encoder, picture, icc)?;
    Ok(bytes)
}

fn encode_webp(picture: &DynamicImage, icc: Option<IccProfile>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    write_lossless(WebPEncoder::new_lossless(&mut bytes), picture, icc)?;
    Ok(bytes)
}

fn write_lossless(
    mut encoder: impl ImageEncoder,
    picture: &DynamicImage,
    icc: Option<IccProfile>,
) -> Result<(), String> {
    if let Some(icc) = icc {
        encoder
            .set_icc_profile(icc.into_bytes())
            .map_err(|error| error.to_string())?;
    }
    encoder
        .write_image(
            picture.as_bytes(),
            picture.width(),
            picture.height(),
            picture.color().into(),
        )
        .map_err(|error| error.to_string())
}

fn on_white(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageRgba8(rgba) => {
            let mut rgb = RgbImage::new(rgba.width(), rgba.height());
            for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
                let [red, green, blue, alpha] = from.0;
                to.0 = [red, green, blue].map(|value| over_white(value, alpha));
            }
            DynamicImage::ImageRgb8(rgb)
        }
        DynamicImage::ImageLumaA8(gray_alpha) => {
            let mut gray = GrayImage::new(gray_alpha.width(), gray_alpha.height());
            for (to, from) in gray.pixels_mut().zip(gray_alpha.pixels()) {
                to.0 = [over_white(from.0[0], from.0[1])];
            }
            DynamicImage::ImageLuma8(gray)
        }
        opaque => opaque,
    }
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    // 127 is half of the divisor, which makes the division round to the nearest.
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
