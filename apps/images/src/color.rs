//! Color correction.

use serde::{Deserialize, Serialize};

use image::DynamicImage;

/// Brightness, contrast and saturation as factors: 1 changes nothing.
///
/// A channel value `v` from 0 to 255 becomes `v * brightness`, then `(v - 128) * contrast + 128`.
/// Then each channel moves away from the pixel's luma (ITU-R BT.709 weights) by the factor
/// `saturation`, so that 0 gives gray. Results are clamped to 0..=255. Alpha does not change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColorCorrection {
    /// 0 gives black, 1.1 is slightly lighter.
    pub brightness: f32,
    /// 0 gives flat gray, above 1 is harder.
    pub contrast: f32,
    /// 0 gives gray, above 1 is more colorful.
    pub saturation: f32,
}

impl Default for ColorCorrection {
    fn default() -> Self {
        Self {
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
        }
    }
}

impl ColorCorrection {
    /// Returns whether this correction leaves every picture unchanged.
    pub fn is_neutral(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn apply(&self, picture: &mut DynamicImage) {
        if self.is_neutral() {
            return;
        }
        let curve = self.curve();
        // In whole numbers, since floats would cost two conversions for each channel.
        let saturation = (self.saturation.clamp(0.0, 100.0) * 256.0).round() as i32;
        for_each_pixel(picture, |colors| {
            for value in colors.iter_mut() {
                *value = curve[usize::from(*value)];
            }
            if let [red, green, blue] = colors
                && saturation != 256
            {
                let luma = luma(*red, *green, *blue);
                for value in [red, green, blue] {
                    let away = saturation * (i32::from(*value) - luma);
                    // Rounded to the nearest on both sides of zero. `/` would round towards zero,
                    // and so darken and lighten by different amounts.
                    *value = (luma + (away + 128).div_euclid(256)).clamp(0, 255) as u8;
                }
            }
        });
    }

    /// Returns a table of brightness and contrast, which depend on a single value.
    fn curve(&self) -> [u8; 256] {
        std::array::from_fn(|value| {
            let lit = value as f32 * self.brightness;
            ((lit - 128.0) * self.contrast + 128.0)
                .round()
                .clamp(0.0, 255.0) as u8
        })
    }
}

/// Returns the BT.709 luma: weights 0.2126, 0.7152, 0.0722 in 1/65536 that add up to one.
fn luma(red: u8, green: u8, blue: u8) -> i32 {
    let sum = 13_933 * i32::from(red) + 46_871 * i32::from(green) + 4_732 * i32::from(blue);
    (sum + 32_768) >> 16
}

/// Calls `change` with the color channels of each pixel, one or three without alpha, row by row.
pub(crate) fn for_each_pixel(picture: &mut DynamicImage, mut change: impl FnMut(&mut [u8])) {
    match picture {
        DynamicImage::ImageLuma8(gray) => gray.chunks_exact_mut(1).for_each(change),
        DynamicImage::ImageRgb8(rgb) => rgb.chunks_exact_mut(3).for_each(change),
        DynamicImage::ImageLumaA8(gray) => {
            gray.chunks_exact_mut(2)
                .for_each(|pixel| change(&mut pixel[..1]));
        }
        DynamicImage::ImageRgba8(rgb) => {
            rgb.chunks_exact_mut(4)
                .for_each(|pixel| change(&mut pixel[..3]));
        }
        // The decoder makes only the four kinds above, and no operation changes the kind.
        _ => {}
    }
}
