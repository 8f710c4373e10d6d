//! Risk: colors that change their meaning, because a profile was lost or belongs to other pixels.

use image::DynamicImage;
use images::{ImageFormat, Operation, ResizeMode, Size};

use crate::support::{Extras, file, icc, photo, pixels, process, quarters};

const FORMATS: [ImageFormat; 3] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP];

/// A profile by its header only: the pipeline looks at nothing else.
fn profile(kind: &[u8; 4], length: usize) -> Vec<u8> {
    let mut profile: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
    profile[16..20].copy_from_slice(kind);
    profile
}

#[test]
fn profiles_survive_every_way_between_formats() {
    let rgb = profile(b"RGB ", 3_000);
    for from in FORMATS {
        let bytes = file(
            &quarters(64, 32),
            from,
            Extras {
                icc: Some(&rgb),
                ..Extras::default()
            },
        );
        for to in FORMATS {
            let result = process(bytes.clone(), &[], Some(to)).unwrap();
            assert!(icc(&result.bytes).as_ref() == Some(&rgb), "{from} to {to}");
        }
    }
}

#[test]
fn profiles_longer_than_a_jpeg_segment_survive() {
    let rgb = profile(b"RGB ", 200_000);
    let extras = Extras {
        icc: Some(&rgb),
        ..Extras::default()
    };
    let bytes = file(&quarters(640, 480), ImageFormat::Jpeg, extras);
    let resize = Operation::Resize {
        size: Size::new(80, 60),
        mode: ResizeMode::Fit,
    };
    let result = process(bytes, &[resize], None).unwrap();
    assert!(icc(&result.bytes).as_ref() == Some(&rgb));
}

#[test]
fn real_photos_keep_their_profiles() {
    let resize = Operation::Resize {
        size: Size::new(300, 300),
        mode: ResizeMode::Fill,
    };
    for name in ["rocket.jpg", "astronaut.png", "coffee.webp"] {
        let bytes = photo(name);
        let before = icc(&bytes);
        assert!(before.is_some(), "{name}");
        for to in FORMATS {
            let result = process(bytes.clone(), &[resize], Some(to)).unwrap();
            assert!(icc(&result.bytes) == before, "{name} to {to}");
        }
    }
}

#[test]
fn a_gray_profile_stays_with_gray_pixels_only() {
    let gray = profile(b"GRAY", 400);
    let picture = DynamicImage::ImageLuma8(quarters(64, 32).to_luma8());
    for from in [ImageFormat::Jpeg, ImageFormat::Png] {
        let bytes = file(
            &picture,
            from,
            Extras {
                icc: Some(&gray),
                ..Extras::default()
            },
        );
        for (to, kept) in [
            (ImageFormat::Jpeg, true),
            (ImageFormat::Png, true),
            (ImageFormat::WebP, false),
        ] {
            let result = process(bytes.clone(), &[], Some(to)).unwrap();
            assert_eq!(icc(&result.bytes).is_some(), kept, "{from} to {to}");
        }
    }
}

#[test]
fn a_profile_of_other_pixels_is_dropped() {
    let picture = DynamicImage::ImageLuma8(quarters(64, 32).to_luma8());
    let rgb = profile(b"RGB ", 400);
    let bytes = file(
        &picture,
        ImageFormat::Png,
        Extras {
            icc: Some(&rgb),
            ..Extras::default()
        },
    );
    assert_eq!(icc(&process(bytes, &[], None).unwrap().bytes), None);
    let short = Extras {
        icc: Some(b"not a profile"),
        ..Extras::default()
    };
    let bytes = file(&quarters(64, 32), ImageFormat::Jpeg, short);
    assert_eq!(icc(&process(bytes, &[], None).unwrap().bytes), None);
}

#[test]
fn cmyk_becomes_rgb_without_the_cmyk_profile() {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
    encoder.add_icc_profile(&profile(b"CMYK", 500)).unwrap();
    // Cyan ink only, then key (black) only.
    let inks: Vec<u8> = (0..64 * 32)
        .flat_map(|n| {
            if n % 64 < 32 {
                [255, 0, 0, 0]
            } else {
                [0, 0, 0, 255]
            }
        })
        .collect();
    encoder
        .encode(&inks, 64, 32, jpeg_encoder::ColorType::Cmyk)
        .unwrap();
    let resize = Operation::Resize {
        size: Size::new(16, 8),
        mode: ResizeMode::Exact,
    };
    for operations in [&[][..], &[resize]] {
        let result = process(bytes.clone(), operations, None).unwrap();
        assert_eq!(icc(&result.bytes), None);
        let picture = pixels(&result).to_rgb8();
        let (width, height) = picture.dimensions();
        let [cyan, black] = [width / 4, width * 3 / 4].map(|x| picture.get_pixel(x, height / 2).0);
        assert!(cyan[0] < 16 && cyan[1] > 239 && cyan[2] > 239, "{cyan:?}");
        assert!(black.iter().all(|&value| value < 16), "{black:?}");
    }
}
