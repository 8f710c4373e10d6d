//! Sharpens with an unsharp mask.

use image::DynamicImage;
use image::imageops::GaussianBlurParameters;

use crate::color::for_each_pixel;

/// Fixed-point one: the mask is computed in 1/256 steps.
const ONE: i32 = 256;
/// The amount is limited to this; far beyond any use, and far from overflow.
const MAX_AMOUNT: f32 = 100.0;

/// Adds `amount` times the difference from a 3x3 Gaussian blur, channel by channel. Alpha does not
/// change.
pub(crate) fn sharpen(picture: &mut DynamicImage, amount: f32) {
    let amount = (amount.clamp(0.0, MAX_AMOUNT) * ONE as f32).round() as i32;
    if amount == 0 {
        return;
    }
    let blurred = picture.blur_advanced(GaussianBlurParameters::new_from_kernel_size(3.0));
    let mut blurred = blurred
        .as_bytes()
        .chunks_exact(picture.color().bytes_per_pixel().into());
    for_each_pixel(picture, |colors| {
        // There is a blurred pixel for each, since a blur keeps the size. `zip` leaves the alpha
        // out.
        for (value, &soft) in colors.iter_mut().zip(blurred.next().unwrap_or_default()) {
            let sharp = i32::from(*value);
            let added = amount * (sharp - i32::from(soft));
            // Rounded to the nearest, also below zero, where `/` would round up.
            *value = (sharp + (added + ONE / 2).div_euclid(ONE)).clamp(0, 255) as u8;
        }
    });
}
