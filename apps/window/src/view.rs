//! The visible part of the plane.

use crate::fixed::Fixed;

/// The deepest zoom of a view: pixels of 2^-104, about 5e-32.
pub const DEEPEST: f64 = 104.0;
const SHALLOWEST: f64 = 5.0;

/// A place and a magnification. The size of the window is not part of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct View {
    /// The point in the middle of the window: real and imaginary part.
    pub center: (Fixed, Fixed),
    /// Pixels are 2^-zoom apart.
    pub zoom: f64,
}

impl View {
    /// Returns the view of the whole set, for a window of this size in pixels.
    pub fn home((width, height): (u32, u32)) -> Self {
        let room = (f64::from(width) / 3.2).min(f64::from(height) / 2.5);
        Self {
            center: (Fixed::from_f64(-0.65), Fixed::default()),
            zoom: room.max(1.0).log2(),
        }
    }

    /// Returns the distance between two pixels.
    pub fn pixel(&self) -> f64 {
        2f64.powf(-self.zoom)
    }

    /// Moves the picture by a number of pixels to the right and down.
    pub fn pan(&mut self, (right, down): (f64, f64)) {
        let pixel = self.pixel();
        self.center.0 = self.center.0 - Fixed::from_f64(right * pixel);
        self.center.1 = self.center.1 + Fixed::from_f64(down * pixel);
        // The set is within 2 of zero; farther out there is nothing to see.
        let limit = |value: Fixed| value.clamp(Fixed::scaled(-4, 0), Fixed::scaled(4, 0));
        self.center = (limit(self.center.0), limit(self.center.1));
    }

    /// Magnifies by 2^`by` around the pixel at `(right, down)` from the middle: its point stays in
    /// place.
    pub fn zoom_at(&mut self, (right, down): (f64, f64), by: f64) {
        let before = self.pixel();
        self.zoom = (self.zoom + by).clamp(SHALLOWEST, DEEPEST);
        let change = before - self.pixel();
        self.center.0 = self.center.0 + Fixed::from_f64(right * change);
        self.center.1 = self.center.1 - Fixed::from_f64(down * change);
    }

    /// Returns the view at a part of the way to `target`, from 0 (here) to 1 (there).
    pub fn towards(&self, target: &Self, part: f64) -> Self {
        let zoom = self.zoom + (target.zoom - self.zoom) * part;
        // With equal zooms the share of the way would be 0 divided by 0.
        if (target.zoom - self.zoom).abs() < 1e-3 {
            return Self {
                center: self.center_towards(target, 1.0 - part),
                zoom,
            };
        }
        // A point that stays in place while zooming keeps its distance in pixels, so the remaining
        // way shrinks as the pixels do.
        let pixel = |zoom: f64| 2f64.powf(-zoom);
        let left = (pixel(zoom) - pixel(target.zoom)) / (self.pixel() - pixel(target.zoom));
        Self {
            center: self.center_towards(target, left),
            zoom,
        }
    }

    /// Returns the center when a share `left` of the way to `target`'s center is left.
    fn center_towards(&self, target: &Self, left: f64) -> (Fixed, Fixed) {
        let part = |from: Fixed, to: Fixed| to + Fixed::from_f64((from - to).to_f64() * left);
        (
            part(self.center.0, target.center.0),
            part(self.center.1, target.center.1),
        )
    }

    /// Returns whether the two views look the same on the screen.
    pub fn is_close_to(&self, other: &Self) -> bool {
        let pixel = self.pixel();
        let away = |a: Fixed, b: Fixed| (a - b).to_f64().abs() / pixel;
        (self.zoom - other.zoom).abs() < 1e-3
            && away(self.center.0, other.center.0) < 0.05
            && away(self.center.1, other.center.1) < 0.05
    }
}

#[cfg(test)]
mod tests;
