//! Risk: a kind of picture that one of the formats or conversions spoils.

use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb, Rgba, RgbaImage};
use images::{Decoding, ImageFormat, Operation, ResizeMode, Size};

use crate::support::{Extras, file, is_close, mean_difference, photo, pixels, process, quarters};

const FORMATS: [ImageFormat; 3] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP];

#[test]
fn every_format_becomes_every_format() {
    for from in FORMATS {
        let bytes = file(&quarters(64, 48), from, Extras::default());
        for to in FORMATS {
            let result = process(bytes.clone(), &[], Some(to)).unwrap();
            assert_eq!(ImageFormat::of_bytes(&result.bytes), Some(to));
            assert_eq!(result.format, to);
            let difference = mean_difference(&pixels(&result), &quarters(64, 48));
            assert!(difference < 2.0, "{from} to {to}: {difference}");
        }
        assert_eq!(process(bytes, &[], None).unwrap().format, from);
    }
}

#[test]
fn every_sample_photo_is_processed() {
    let fit = Operation::Resize {
        size: Size::new(200, 200),
        mode: ResizeMode::Fit,
    };
    let operations = [fit, Operation::Sharpen { amount: 0.3 }];
    let mut count = 0;
    for entry in std::fs::read_dir(crate::support::photos()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let result = process(photo(&name), &operations, None).unwrap();
        assert_eq!(result.size.width.max(result.size.height), 200, "{name}");
        let picture = pixels(&result).to_luma8();
        let (darkest, lightest) = (picture.iter().min(), picture.iter().max());
        assert!(
            darkest < Some(&60) && lightest > Some(&180),
            "{name}: {darkest:?} {lightest:?}"
        );
        count += 1;
    }
    assert!(count >= 8);
}

#[test]
fn jpeg_shows_transparent_parts_on_white() {
    let colors = [
        Rgba([255, 0, 0, 255]),
        Rgba([255, 0, 0, 128]),
        Rgba([0, 0, 0, 0]),
        Rgba([0, 0, 0, 255]),
    ];
    let picture = RgbaImage::from_fn(128, 32, |x, _| colors[(x / 32) as usize]);
    let bytes = file(
        &DynamicImage::ImageRgba8(picture),
        ImageFormat::Png,
        Extras::default(),
    );
    let result = process(bytes, &[], Some(ImageFormat::Jpeg)).unwrap();
    let picture = pixels(&result).to_rgb8();
    let expected = [[255, 0, 0], [255, 127, 127], [255, 255, 255], [0, 0, 0]];
    for (x, color) in (16..).step_by(32).zip(expected) {
        let seen = *picture.get_pixel(x, 16);
        assert!(is_close(seen, Rgb(color)), "{seen:?} {color:?}");
    }
}

#[test]
fn deep_png_is_reduced_to_eight_bits() {
    fn check<P>(pixel: P, wrap: fn(ImageBuffer<P, Vec<u16>>) -> DynamicImage, expected: [u8; 4])
    where
        P: image::Pixel<Subpixel = u16>,
    {
        let deep = wrap(ImageBuffer::from_pixel(16, 16, pixel));
        let mut bytes = std::io::Cursor::new(Vec::new());
        deep.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let result = process(bytes.into_inner(), &[], None).unwrap();
        assert_eq!(pixels(&result).to_rgba8().get_pixel(5, 5).0, expected);
    }
    check(
        Luma([0x8080]),
        DynamicImage::ImageLuma16,
        [128, 128, 128, 255],
    );
    check(
        LumaA([0x1010, 0x4040]),
        DynamicImage::ImageLumaA16,
        [16, 16, 16, 64],
    );
    check(
        Rgb([0, 0x8080, 0xffff]),
        DynamicImage::ImageRgb16,
        [0, 128, 255, 255],
    );
    check(
        Rgba([0, 0x8080, 0xffff, 0x2020]),
        DynamicImage::ImageRgba16,
        [0, 128, 255, 32],
    );
}

#[test]
fn gray_stays_gray_in_jpeg_and_png() {
    let bytes = photo("cameraman.png");
    for to in [ImageFormat::Jpeg, ImageFormat::Png] {
        let result = process(bytes.clone(), &[], Some(to)).unwrap();
        assert!(!pixels(&result).color().has_color(), "{to}");
    }
    let jpeg = process(bytes, &[], Some(ImageFormat::Jpeg)).unwrap().bytes;
    let resize = Operation::Resize {
        size: Size::new(128, 128),
        mode: ResizeMode::Exact,
    };
    let small = process(jpeg.to_vec(), &[resize], None).unwrap();
    assert_eq!(small.decoding, Decoding::Reduced { denominator: 4 });
    assert!(!pixels(&small).color().has_color());
}

#[test]
fn quality_trades_size_for_fidelity() {
    let size = |quality| {
        let image = images::RawImage {
            path: "a".into(),
            bytes: photo("cat.png").into(),
        };
        let format = Some(ImageFormat::Jpeg);
        let request = images::ProcessImage {
            image,
            operations: Vec::new(),
            format,
            quality,
        };
        images::Pipeline::new()
            .process(request)
            .unwrap()
            .bytes
            .len()
    };
    assert!(size(20) < size(60) && size(60) < size(95));
    assert_eq!(size(0), size(1));
    assert_eq!(size(255), size(100));
}
