//! Risk: pictures that lie on their side, or are turned twice.

use image::Rgb;
use images::{Decoding, ImageFormat, Operation, ResizeMode, Size};

use crate::support::{BLUE, Extras, GREEN, RED, WHITE, file, is_close, pixels, process, quarters};

/// For each EXIF orientation from 1 to 8, the colors of the upright picture (top left, top right,
/// bottom left, bottom right) when red, green, blue and white are stored. From the table of the
/// Exif standard (tag 0x0112), which says on which visual side row 0 and column 0 lie.
const UPRIGHT: [[Rgb<u8>; 4]; 8] = [
    [RED, GREEN, BLUE, WHITE], // row 0 top, column 0 left
    [GREEN, RED, WHITE, BLUE], // top, right
    [WHITE, BLUE, GREEN, RED], // bottom, right
    [BLUE, WHITE, RED, GREEN], // bottom, left
    [RED, BLUE, GREEN, WHITE], // left, top
    [BLUE, RED, WHITE, GREEN], // right, top
    [WHITE, GREEN, BLUE, RED], // right, bottom
    [GREEN, WHITE, RED, BLUE], // left, bottom
];

fn check(
    stored: Size,
    format: ImageFormat,
    operations: &[Operation],
    expected: Size,
    decoding: Decoding,
) {
    for (value, colors) in (1..).zip(UPRIGHT) {
        let is_turned = value >= 5;
        let turned = |size: Size| {
            if is_turned {
                Size::new(size.height, size.width)
            } else {
                size
            }
        };
        let extras = Extras {
            orientation: Some(value),
            ..Extras::default()
        };
        let bytes = file(&quarters(stored.width, stored.height), format, extras);
        let result = process(bytes, operations, None).unwrap();
        assert_eq!(
            result.source_size,
            turned(stored),
            "{format} orientation {value}"
        );
        assert_eq!(
            result.size,
            turned(expected),
            "{format} orientation {value}"
        );
        assert_eq!(result.decoding, decoding, "{format} orientation {value}");
        let picture = pixels(&result).to_rgb8();
        let (right, bottom) = (result.size.width * 3 / 4, result.size.height * 3 / 4);
        let (left, top) = (result.size.width / 4, result.size.height / 4);
        let seen = [(left, top), (right, top), (left, bottom), (right, bottom)]
            .map(|(x, y)| *picture.get_pixel(x, y));
        for (seen, expected) in seen.into_iter().zip(colors) {
            assert!(
                is_close(seen, expected),
                "{format} orientation {value}: {seen:?} {expected:?}"
            );
        }
    }
}

#[test]
fn every_format_is_turned_upright() {
    let stored = Size::new(96, 64);
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        check(stored, format, &[], stored, Decoding::Full);
    }
}

#[test]
fn the_wanted_size_is_that_of_the_upright_picture() {
    // A square box, so that the expected size is the same whether the picture is turned or not.
    let fit = Operation::Resize {
        size: Size::new(96, 96),
        mode: ResizeMode::Fit,
    };
    let decoding = Decoding::Reduced { denominator: 4 };
    check(
        Size::new(480, 320),
        ImageFormat::Jpeg,
        &[fit],
        Size::new(96, 64),
        decoding,
    );
    check(
        Size::new(480, 320),
        ImageFormat::Png,
        &[fit],
        Size::new(96, 64),
        Decoding::Full,
    );
}

#[test]
fn exact_and_fill_count_width_across_the_upright_picture() {
    let extras = Extras {
        orientation: Some(6),
        ..Extras::default()
    };
    let bytes = file(&quarters(640, 480), ImageFormat::Jpeg, extras);
    for mode in [ResizeMode::Exact, ResizeMode::Fill] {
        let resize = Operation::Resize {
            size: Size::new(60, 80),
            mode,
        };
        let result = process(bytes.clone(), &[resize], None).unwrap();
        assert_eq!(result.size, Size::new(60, 80));
        assert_eq!(result.decoding, Decoding::Reduced { denominator: 8 });
        let picture = pixels(&result).to_rgb8();
        assert!(
            is_close(*picture.get_pixel(15, 20), BLUE)
                && is_close(*picture.get_pixel(45, 60), GREEN)
        );
    }
}
