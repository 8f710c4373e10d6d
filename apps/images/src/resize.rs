//! Resizing.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;

use crate::{ProcessError, ResizeMode, Size};

/// Brings `picture` to exactly `target`; in mode `Fill` the sides that stick out are cut off.
///
/// Works on the stored values, as most programs do, and not on linear light. Pixels are weighted
/// by their alpha, so that the color of invisible ones does not bleed.
pub(crate) fn resize(
    resizer: &mut Resizer,
    picture: &DynamicImage,
    target: Size,
    mode: ResizeMode,
) -> Result<DynamicImage, ProcessError> {
    let mut resized = DynamicImage::new(target.width, target.height, picture.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    let options = match mode {
        ResizeMode::Fill => options.fit_into_destination(Some((0.5, 0.5))),
        ResizeMode::Exact | ResizeMode::Fit => options,
    };
    resizer
        .resize(picture, &mut resized, &options)
        .map_err(|error| ProcessError::Resize {
            reason: error.to_string(),
        })?;
    Ok(resized)
}
