//! Risk: a reduced decoding that shows: another size, a shift, a color cast, lost detail.

use image::DynamicImage;
use images::{Decoding, ImageFormat, Operation, ProcessedImage, ResizeMode, Size};

use crate::support::{Extras, file, mean_difference, photo, pixels, process};

/// A first operation that changes nothing, but is no resize: the decoder must not reduce.
const NOTHING: Operation = Operation::Sharpen { amount: 0.0 };

fn both_ways(bytes: &[u8], size: Size, mode: ResizeMode) -> (ProcessedImage, ProcessedImage) {
    let resize = Operation::Resize { size, mode };
    let png = Some(ImageFormat::Png);
    let full = process(bytes.to_vec(), &[NOTHING, resize], png).unwrap();
    assert_eq!(full.decoding, Decoding::Full);
    (process(bytes.to_vec(), &[resize], png).unwrap(), full)
}

fn assert_same(reduced: &ProcessedImage, full: &ProcessedImage, what: &str) {
    assert_eq!(reduced.size, full.size, "{what}");
    assert_eq!(reduced.source_size, full.source_size, "{what}");
    let difference = mean_difference(&pixels(reduced), &pixels(full));
    assert!(difference < 3.0, "{what}: {difference}");
}

#[test]
fn photos_look_the_same() {
    let sizes = [
        (Size::new(800, 600), ResizeMode::Fit),
        (Size::new(500, 700), ResizeMode::Fill),
        (Size::new(300, 300), ResizeMode::Exact),
    ];
    for name in ["dogs.jpeg", "fig.jpg"] {
        let bytes = photo(name);
        for (size, mode) in sizes {
            let (reduced, full) = both_ways(&bytes, size, mode);
            assert_ne!(reduced.decoding, Decoding::Full, "{name} {size}");
            assert_same(&reduced, &full, &format!("{name} {size} {mode:?}"));
        }
    }
}

#[test]
fn the_reduction_never_goes_below_the_wanted_size() {
    let bytes = photo("fig.jpg"); // 2572x1740
    let denominator = |width, height, mode| {
        let resize = Operation::Resize {
            size: Size::new(width, height),
            mode,
        };
        match process(bytes.clone(), &[resize], None).unwrap().decoding {
            Decoding::Reduced { denominator } => denominator,
            Decoding::Full => 1,
        }
    };
    assert_eq!(denominator(322, 218, ResizeMode::Exact), 8);
    assert_eq!(denominator(323, 218, ResizeMode::Exact), 4);
    assert_eq!(denominator(100, 219, ResizeMode::Exact), 4);
    assert_eq!(denominator(1286, 870, ResizeMode::Exact), 2);
    assert_eq!(denominator(1286, 871, ResizeMode::Exact), 1);
    // A fitted picture is 100 rows high, a filling one has 1000 rows before it is cut.
    assert_eq!(denominator(1000, 100, ResizeMode::Fit), 8);
    assert_eq!(denominator(1000, 100, ResizeMode::Fill), 2);
}

#[test]
fn sizes_that_no_block_divides_do_not_shift_the_picture() {
    let photo = process(photo("fig.jpg"), &[], Some(ImageFormat::Png)).unwrap();
    let photo = pixels(&photo);
    // An eighth of these leaves a remainder of one pixel, so that seven columns are made up.
    for (width, height) in [(641, 417), (617, 809), (17, 403), (409, 9)] {
        let odd = photo.crop_imm(900, 500, width, height);
        for orientation in 1..=8 {
            for picture in [odd.clone(), DynamicImage::ImageLuma8(odd.to_luma8())] {
                let extras = Extras {
                    orientation: Some(orientation),
                    ..Extras::default()
                };
                let bytes = file(&picture, ImageFormat::Jpeg, extras);
                for (size, mode) in [
                    (Size::new(80, 80), ResizeMode::Fit),
                    (Size::new(50, 50), ResizeMode::Fill),
                ] {
                    let (reduced, full) = both_ways(&bytes, size, mode);
                    assert_same(
                        &reduced,
                        &full,
                        &format!("{width}x{height} {orientation} {mode:?}"),
                    );
                }
            }
        }
    }
}

#[test]
fn chroma_subsampling_makes_no_difference() {
    let picture = pixels(&process(photo("mountains.jpg"), &[], Some(ImageFormat::Png)).unwrap());
    let picture = picture.crop_imm(500, 300, 1003, 755);
    use jpeg_encoder::SamplingFactor::{R_4_1_1, R_4_2_0, R_4_2_2, R_4_4_4};
    for sampling in [R_4_4_4, R_4_2_2, R_4_2_0, R_4_1_1] {
        for is_progressive in [false, true] {
            let mut bytes = Vec::new();
            let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive(is_progressive);
            encoder
                .encode(picture.as_bytes(), 1003, 755, jpeg_encoder::ColorType::Rgb)
                .unwrap();
            let (reduced, full) = both_ways(&bytes, Size::new(240, 180), ResizeMode::Fit);
            assert_eq!(reduced.decoding, Decoding::Reduced { denominator: 4 });
            assert_same(
                &reduced,
                &full,
                &format!("{sampling:?} progressive {is_progressive}"),
            );
        }
    }
}
