//! Risk: an operation that does something else than its documentation says.

use image::{DynamicImage, GrayAlphaImage, GrayImage, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use images::{ColorCorrection, ImageFormat, Operation, ResizeMode, Size};

use crate::support::{BLUE, Extras, GREEN, RED, WHITE, file, pixels, process, quarters};

/// Through the pipeline and back, without loss.
fn apply(picture: &DynamicImage, operations: &[Operation]) -> DynamicImage {
    let bytes = file(picture, ImageFormat::Png, Extras::default());
    pixels(&process(bytes, operations, None).unwrap())
}

fn resize(width: u32, height: u32, mode: ResizeMode) -> Operation {
    Operation::Resize {
        size: Size::new(width, height),
        mode,
    }
}

fn correct(brightness: f32, contrast: f32, saturation: f32) -> Operation {
    Operation::ColorCorrection(ColorCorrection {
        brightness,
        contrast,
        saturation,
    })
}

fn one_color(color: [u8; 3]) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_pixel(8, 8, Rgb(color)))
}

fn corrected(color: [u8; 3], operation: Operation) -> [u8; 3] {
    apply(&one_color(color), &[operation])
        .to_rgb8()
        .get_pixel(3, 3)
        .0
}

/// Three columns of one third each.
fn stripes() -> DynamicImage {
    let picture = RgbImage::from_fn(300, 100, |x, _| [RED, GREEN, BLUE][(x / 100) as usize]);
    DynamicImage::ImageRgb8(picture)
}

#[test]
fn exact_stretches_the_whole_picture() {
    let picture = apply(&stripes(), &[resize(90, 90, ResizeMode::Exact)]).to_rgb8();
    assert_eq!(picture.dimensions(), (90, 90));
    let seen = [15, 45, 75].map(|x| *picture.get_pixel(x, 45));
    assert_eq!(seen, [RED, GREEN, BLUE]);
}

#[test]
fn fit_keeps_the_shape_and_never_enlarges() {
    let picture = apply(&stripes(), &[resize(90, 90, ResizeMode::Fit)]).to_rgb8();
    assert_eq!(picture.dimensions(), (90, 30));
    assert_eq!(*picture.get_pixel(45, 15), GREEN);
    let same = apply(&stripes(), &[resize(2000, 2000, ResizeMode::Fit)]);
    assert_eq!(same, stripes());
}

#[test]
fn fill_cuts_equally_on_both_sides() {
    let picture = apply(&stripes(), &[resize(150, 75, ResizeMode::Fill)]).to_rgb8();
    assert_eq!(picture.dimensions(), (150, 75));
    // The middle 200 of 300 columns are kept: a quarter red, a half green, a quarter blue.
    let seen = [10, 75, 140].map(|x| *picture.get_pixel(x, 37));
    assert_eq!(seen, [RED, GREEN, BLUE]);
    let tall = apply(&stripes().rotate90(), &[resize(20, 20, ResizeMode::Fill)]).to_rgb8();
    // Not at the seams: the filter sees three pixels beyond the cut.
    assert!((3..17).all(|y| (0..20).all(|x| *tall.get_pixel(x, y) == GREEN)));
}

#[test]
fn operations_run_in_order_and_may_repeat() {
    let operations = [
        resize(200, 50, ResizeMode::Exact),
        Operation::Sharpen { amount: 0.4 },
        resize(60, 60, ResizeMode::Fit),
        correct(1.0, 1.0, 0.0),
    ];
    let picture = apply(&stripes(), &operations);
    assert_eq!((picture.width(), picture.height()), (60, 15));
    assert!(
        picture
            .to_rgb8()
            .pixels()
            .all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2])
    );
}

#[test]
fn transparent_colors_do_not_bleed_when_resized() {
    // Opaque red beside invisible green.
    let picture = RgbaImage::from_fn(80, 80, |x, _| {
        if x < 37 {
            Rgba([255, 0, 0, 255])
        } else {
            Rgba([0, 255, 0, 0])
        }
    });
    let small = apply(
        &DynamicImage::ImageRgba8(picture),
        &[resize(10, 10, ResizeMode::Exact)],
    );
    for pixel in small.to_rgba8().pixels().filter(|pixel| pixel.0[3] > 8) {
        assert!(pixel.0[0] > 230 && pixel.0[1] < 25, "{pixel:?}");
    }
}

#[test]
fn sharpening_steepens_edges_and_leaves_flat_parts() {
    let step = GrayImage::from_fn(40, 40, |x, _| image::Luma([if x < 20 { 80 } else { 160 }]));
    let step = DynamicImage::ImageLuma8(step);
    let at = |amount, x| {
        apply(&step, &[Operation::Sharpen { amount }])
            .to_luma8()
            .get_pixel(x, 20)
            .0[0]
    };
    assert_eq!(apply(&step, &[Operation::Sharpen { amount: 0.0 }]), step);
    assert!(at(0.5, 19) < 80 && at(0.5, 20) > 160);
    assert!(at(1.0, 19) < at(0.5, 19) && at(1.0, 20) > at(0.5, 20));
    assert_eq!((at(1.0, 5), at(1.0, 35)), (80, 160));
    // Cut, not wrapped around.
    assert_eq!((at(90.0, 19), at(90.0, 20)), (0, 255));
}

#[test]
fn color_correction_follows_its_formula() {
    assert_eq!(
        corrected([10, 100, 200], correct(1.5, 1.0, 1.0)),
        [15, 150, 255]
    );
    assert_eq!(corrected([10, 100, 200], correct(0.0, 1.0, 1.0)), [0, 0, 0]);
    assert_eq!(
        corrected([28, 128, 178], correct(1.0, 2.0, 1.0)),
        [0, 128, 228]
    );
    assert_eq!(
        corrected([28, 128, 178], correct(1.0, 0.0, 1.0)),
        [128, 128, 128]
    );
    // 0.2126 * 200 + 0.7152 * 100 + 0.0722 * 50 = 117.65
    assert_eq!(
        corrected([200, 100, 50], correct(1.0, 1.0, 0.0)),
        [118, 118, 118]
    );
    assert_eq!(
        corrected([200, 100, 50], correct(1.0, 1.0, 1.5)),
        [241, 91, 16]
    );
    assert_eq!(
        corrected([200, 100, 50], correct(1.0, 1.0, 1.0)),
        [200, 100, 50]
    );
}

#[test]
fn alpha_passes_through_sharpening_and_correction() {
    let operations = [Operation::Sharpen { amount: 2.0 }, correct(0.5, 1.3, 2.0)];
    let rgba = RgbaImage::from_fn(16, 16, |x, y| {
        Rgba([(x * 16) as u8, 90, 10, (y * 16) as u8])
    });
    let result = apply(&DynamicImage::ImageRgba8(rgba.clone()), &operations).to_rgba8();
    assert!(
        result
            .pixels()
            .zip(rgba.pixels())
            .all(|(a, b)| a.0[3] == b.0[3])
    );
    assert!(result != rgba);
    let gray = GrayAlphaImage::from_fn(16, 16, |x, y| LumaA([(x * 16) as u8, (y * 16) as u8]));
    let result = apply(&DynamicImage::ImageLumaA8(gray.clone()), &operations);
    let DynamicImage::ImageLumaA8(result) = result else {
        panic!("gray became {:?}", result.color())
    };
    assert!(
        result
            .pixels()
            .zip(gray.pixels())
            .all(|(a, b)| a.0[1] == b.0[1])
    );
}

#[test]
fn a_single_pixel_survives_everything() {
    let dot = DynamicImage::ImageRgb8(RgbImage::from_pixel(1, 1, WHITE));
    let operations = [
        resize(7, 3, ResizeMode::Fill),
        Operation::Sharpen { amount: 1.0 },
        correct(0.5, 1.0, 1.0),
    ];
    let picture = apply(&dot, &operations).to_rgb8();
    assert!(picture.pixels().all(|pixel| pixel.0 == [128; 3]));
    let line = apply(&quarters(64, 32), &[resize(1, 1, ResizeMode::Exact)]);
    assert_eq!((line.width(), line.height()), (1, 1));
}
