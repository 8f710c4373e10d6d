//! Resizing.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;

use crate::geometry::Extent;
use crate::{ProcessError, ResizeMode, Size};

/// Resizes the part of `picture` inside `extent` to exactly `target`. In mode `Fill` the protruding
/// sides are cut off.
///
/// Works on the stored values, as most programs do, and not on linear light. Pixels are weighted by
/// their alpha, so that the color of invisible ones does not bleed.
pub(crate) fn resize(
    resizer: &mut Resizer,
    picture: &DynamicImage,
    extent: Extent,
    target: Size,
    mode: ResizeMode,
) -> Result<DynamicImage, ProcessError> {
    let mut resized = DynamicImage::new(target.width, target.height, picture.color());
    let Extent {
        left,
        top,
        width,
        height,
    } = match mode {
        ResizeMode::Fill => extent.cut_to_shape(target),
        ResizeMode::Exact | ResizeMode::Fit => extent,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .crop(left, top, width, height);
    resizer
        .resize(picture, &mut resized, &options)
        .map_err(|error| ProcessError::Resize {
            reason: error.to_string(),
        })?;
    Ok(resized)
}
