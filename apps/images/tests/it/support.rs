//! Pictures to test with, and ways to look at the results.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::png::{PngDecoder, PngEncoder};
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::{DynamicImage, ImageDecoder, ImageEncoder, Rgb, RgbImage};
use images::{
    ImageFormat, Operation, Pipeline, ProcessError, ProcessImage, ProcessedImage, RawImage,
};

pub(crate) const RED: Rgb<u8> = Rgb([255, 0, 0]);
pub(crate) const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
pub(crate) const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
pub(crate) const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

/// The folder of sample photos.
pub(crate) fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/photos")
}

/// The content of a sample photo.
pub(crate) fn photo(name: &str) -> Vec<u8> {
    std::fs::read(photos().join(name)).unwrap()
}

/// Metadata to embed into a test picture beside its pixels.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extras<'a> {
    pub(crate) icc: Option<&'a [u8]>,
    pub(crate) orientation: Option<u8>,
}

/// A picture file of any format, JPEG at quality 95 without chroma subsampling.
pub(crate) fn file(picture: &DynamicImage, format: ImageFormat, extras: Extras<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match format {
        ImageFormat::Jpeg => write_jpeg(picture, &mut bytes, extras),
        ImageFormat::Png => write_lossless(PngEncoder::new(&mut bytes), picture, extras),
        ImageFormat::WebP => {
            write_lossless(WebPEncoder::new_lossless(&mut bytes), picture, extras);
        }
    }
    bytes
}

fn write_jpeg(picture: &DynamicImage, bytes: &mut Vec<u8>, extras: Extras<'_>) {
    let mut encoder = jpeg_encoder::Encoder::new(bytes, 95);
    if let Some(icc) = extras.icc {
        encoder.add_icc_profile(icc).unwrap();
    }
    if let Some(orientation) = extras.orientation {
        encoder.add_exif_metadata(&exif(orientation)).unwrap();
    }
    let kind = match picture {
        DynamicImage::ImageLuma8(_) => jpeg_encoder::ColorType::Luma,
        _ => jpeg_encoder::ColorType::Rgb,
    };
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    encoder
        .encode(picture.as_bytes(), width, height, kind)
        .unwrap();
}

fn write_lossless(mut encoder: impl ImageEncoder, picture: &DynamicImage, extras: Extras<'_>) {
    if let Some(icc) = extras.icc {
        encoder.set_icc_profile(icc.to_vec()).unwrap();
    }
    if let Some(orientation) = extras.orientation {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
    }
    let (width, height) = (picture.width(), picture.height());
    encoder
        .write_image(picture.as_bytes(), width, height, picture.color().into())
        .unwrap();
}

/// A TIFF block, big-endian, whose only entry is the orientation (tag 0x0112, one SHORT).
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// Four quarters: red and green above, blue and white below.
pub(crate) fn quarters(width: u32, height: u32) -> DynamicImage {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        match (x < width / 2, y < height / 2) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        }
    });
    DynamicImage::ImageRgb8(picture)
}

/// Runs one picture through a new pipeline.
pub(crate) fn process(
    bytes: Vec<u8>,
    operations: &[Operation],
    format: Option<ImageFormat>,
) -> Result<ProcessedImage, ProcessError> {
    let image = RawImage {
        path: PathBuf::from("test picture"),
        bytes: bytes.into(),
    };
    Pipeline::new().process(ProcessImage {
        image,
        operations: operations.to_vec(),
        format,
        quality: 90,
    })
}

/// The pixels of a result, by decoders other than those of the pipeline where there are two.
pub(crate) fn pixels(result: &ProcessedImage) -> DynamicImage {
    let bytes = Cursor::new(&result.bytes);
    let picture = match result.format {
        ImageFormat::Jpeg => {
            let mut decoder = jpeg_decoder::Decoder::new(bytes);
            let pixels = decoder.decode().unwrap();
            let info = decoder.info().unwrap();
            let (width, height) = (info.width.into(), info.height.into());
            match info.pixel_format {
                jpeg_decoder::PixelFormat::L8 => {
                    image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
                }
                _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
            }
        }
        ImageFormat::Png => DynamicImage::from_decoder(PngDecoder::new(bytes).unwrap()).ok(),
        ImageFormat::WebP => DynamicImage::from_decoder(WebPDecoder::new(bytes).unwrap()).ok(),
    };
    let picture = picture.unwrap();
    assert_eq!(
        (picture.width(), picture.height()),
        (result.size.width, result.size.height)
    );
    picture
}

/// The color profile in a picture file.
pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    let reader = Cursor::new(bytes);
    match ImageFormat::of_bytes(bytes).unwrap() {
        ImageFormat::Jpeg => {
            let mut decoder = jpeg_decoder::Decoder::new(reader);
            decoder.decode().unwrap();
            decoder.icc_profile()
        }
        ImageFormat::Png => PngDecoder::new(reader).unwrap().icc_profile().unwrap(),
        ImageFormat::WebP => WebPDecoder::new(reader).unwrap().icc_profile().unwrap(),
    }
}

/// Returns whether two colors are the same within what JPEG changes.
pub(crate) fn is_close(a: Rgb<u8>, b: Rgb<u8>) -> bool {
    a.0.iter().zip(b.0).all(|(&a, b)| a.abs_diff(b) <= 16)
}

/// The mean absolute difference of two pictures of one size, per channel.
pub(crate) fn mean_difference(a: &DynamicImage, b: &DynamicImage) -> f64 {
    assert_eq!(
        (a.width(), a.height(), a.color()),
        (b.width(), b.height(), b.color())
    );
    let sum: u64 = a
        .as_bytes()
        .iter()
        .zip(b.as_bytes())
        .map(|(&a, &b)| u64::from(a.abs_diff(b)))
        .sum();
    sum as f64 / a.as_bytes().len() as f64
}
