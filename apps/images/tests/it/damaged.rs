//! Risk: a damaged file that ends the program, passes for a picture, or fills the memory.

use images::{
    ImageFormat, Operation, Pipeline, ProcessError, ProcessImage, RawImage, ResizeMode, Size,
};

use crate::support::{Extras, file, photo, process, quarters};

const SMALL: Operation = Operation::Resize {
    size: Size::new(50, 50),
    mode: ResizeMode::Fit,
};

fn is_decode_error(
    result: &Result<images::ProcessedImage, ProcessError>,
    format: ImageFormat,
) -> bool {
    matches!(result, Err(ProcessError::Decode { format: named, reason }) if *named == format && !reason.is_empty())
}

#[test]
fn truncated_files_are_refused_in_full_and_reduced_decoding() {
    for name in ["dogs.jpeg", "drum.jpg", "astronaut.png", "brushes.webp"] {
        let whole = photo(name);
        let format = ImageFormat::of_bytes(&whole).unwrap();
        for tenths in [1, 5, 9] {
            let cut = &whole[..whole.len() * tenths / 10];
            for operations in [&[][..], &[SMALL]] {
                let result = process(cut.to_vec(), operations, None);
                assert!(
                    is_decode_error(&result, format),
                    "{name} {tenths}/10 {operations:?}"
                );
            }
        }
    }
}

#[test]
fn headers_without_a_picture_are_refused() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let whole = file(&quarters(64, 64), format, Extras::default());
        for length in 12..40 {
            let result = process(whole[..length].to_vec(), &[SMALL], None);
            assert!(is_decode_error(&result, format), "{format} {length}");
        }
    }
}

#[test]
fn a_flipped_bit_in_a_png_is_noticed() {
    let mut bytes = photo("cat.png");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(is_decode_error(
        &process(bytes, &[], None),
        ImageFormat::Png
    ));
}

#[test]
fn what_is_no_picture_is_named_as_such() {
    for bytes in [
        &b""[..],
        b"\xff",
        b"hello, world, this is text",
        b"GIF89a",
        b"RIFF\0\0\0\0WAVE",
    ] {
        let error = process(bytes.to_vec(), &[], None).unwrap_err();
        assert_eq!(error, ProcessError::UnknownFormat);
        assert_eq!(error.to_string(), "not a JPEG, PNG or WebP picture");
    }
}

#[test]
fn a_header_that_claims_gigapixels_is_refused_before_decoding() {
    let mut bytes = file(&quarters(64, 64), ImageFormat::Jpeg, Extras::default());
    // Height and width follow the start-of-frame marker, its length and the sample precision.
    let frame = bytes
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    for operations in [&[][..], &[SMALL]] {
        let error = process(bytes.clone(), operations, None).unwrap_err();
        assert_eq!(
            error,
            ProcessError::TooLarge {
                size: Size::new(65_535, 65_535)
            }
        );
    }
}

#[test]
fn a_jpeg_too_long_for_its_format_is_an_encode_error() {
    let long = image::DynamicImage::new_luma8(70_000, 1);
    let bytes = file(&long, ImageFormat::Png, Extras::default());
    let error = process(bytes, &[], Some(ImageFormat::Jpeg)).unwrap_err();
    assert!(
        matches!(
            error,
            ProcessError::Encode {
                format: ImageFormat::Jpeg,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_pipeline_works_on_after_errors() {
    let mut pipeline = Pipeline::new();
    let good = file(&quarters(64, 64), ImageFormat::Png, Extras::default());
    let mut process = |bytes: &[u8]| {
        let image = RawImage {
            path: "a.png".into(),
            bytes: bytes.to_vec().into(),
        };
        let operations = vec![SMALL];
        pipeline.process(ProcessImage {
            image,
            operations,
            format: None,
            quality: 85,
        })
    };
    let expected = process(&good).unwrap().bytes;
    assert!(process(&good[..100]).is_err());
    assert_eq!(process(&good).unwrap().bytes, expected);
}
