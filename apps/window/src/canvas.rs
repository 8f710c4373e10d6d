//! Draws into a window's pixels.

use font8x8::UnicodeFonts;

use crate::tile::{SIDE, STRIDE, Tile};

/// Pixels of a window as 0x00rrggbb, in rows.
#[derive(Debug)]
pub struct Canvas<'a> {
    pixels: &'a mut [u32],
    width: usize,
    height: usize,
}

/// A rectangle of whole pixels. `right` and `bottom` are exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// Left end.
    pub left: usize,
    /// Upper end.
    pub top: usize,
    /// Right end.
    pub right: usize,
    /// Lower end.
    pub bottom: usize,
}

/// The place where a tile or a part of one is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    /// The pixels to draw.
    pub(crate) area: Area,
    /// The tile's upper left corner, in pixels of the window.
    pub(crate) corner: (f64, f64),
    /// Pixels of the tile per pixel of the window.
    pub(crate) scale: f64,
}

/// The width and height of a character.
pub(crate) const CHARACTER: usize = 8;

impl<'a> Canvas<'a> {
    /// Creates a canvas on the `pixels` of a window with `width` columns.
    pub fn new(pixels: &'a mut [u32], width: usize) -> Self {
        let width = width.max(1);
        let height = pixels.len() / width;
        Self {
            pixels,
            width,
            height,
        }
    }

    /// Returns the whole canvas.
    pub fn area(&self) -> Area {
        Area {
            left: 0,
            top: 0,
            right: self.width,
            bottom: self.height,
        }
    }

    /// Returns the pixels of the canvas whose middles are in a rectangle.
    pub(crate) fn cover(&self, left: f64, top: f64, right: f64, bottom: f64) -> Area {
        // By the middles of pixels, so that neighboring tiles neither overlap nor leave a gap.
        let cut = |value: f64, most: usize| (value - 0.5).ceil().clamp(0.0, most as f64) as usize;
        Area {
            left: cut(left, self.width),
            top: cut(top, self.height),
            right: cut(right, self.width),
            bottom: cut(bottom, self.height),
        }
    }

    /// Fills an area with a color.
    pub(crate) fn fill(&mut self, area: Area, color: u32) {
        for row in area.top..area.bottom {
            self.row(row, area).fill(color);
        }
    }

    /// Mixes a color into an area: a `share` of 0 changes nothing, 256 fills it.
    pub(crate) fn tint(&mut self, area: Area, color: u32, share: u32) {
        for row in area.top..area.bottom {
            for pixel in self.row(row, area) {
                *pixel = mix(*pixel, color, share);
            }
        }
    }

    /// Draws a tile with smooth scaling.
    pub(crate) fn draw(&mut self, tile: &Tile, placement: &Placement) {
        let Placement {
            area,
            corner,
            scale,
        } = *placement;
        // For a column or row of the window: the tile's pixel before it, and the distance from
        // that.
        let sample = |at: usize, from: f64| {
            // Before the last pixel of the tile's row, since the one after `place` is read as well.
            let place = ((at as f64 + 0.5 - from) * scale + 0.5).clamp(0.0, SIDE as f64 + 0.999);
            (place as usize, (place.fract() * 256.0) as u32)
        };
        let columns: Vec<_> = (area.left..area.right)
            .map(|x| sample(x, corner.0))
            .collect();
        for y in area.top..area.bottom {
            let (v, down) = sample(y, corner.1);
            let upper = &tile.0[v * STRIDE..][..STRIDE];
            let lower = &tile.0[(v + 1) * STRIDE..][..STRIDE];
            for (pixel, (u, right)) in self.row(y, area).iter_mut().zip(&columns) {
                let left = mix(upper[*u], lower[*u], down);
                *pixel = mix(left, mix(upper[*u + 1], lower[*u + 1], down), *right);
            }
        }
    }

    /// Writes a line of text with dots of `size` pixels, and returns the position after it.
    pub(crate) fn write(
        &mut self,
        text: &str,
        (x, y): (usize, usize),
        size: usize,
        color: u32,
    ) -> usize {
        let mut left = x;
        for character in text.chars() {
            let rows = font8x8::BASIC_FONTS.get(character).unwrap_or_default();
            for (row, bits) in rows.iter().enumerate() {
                for column in (0..CHARACTER).filter(|column| bits >> column & 1 == 1) {
                    let (left, top) = (left + column * size, y + row * size);
                    // Cut off at the edges, since a window may be smaller than its text.
                    let dot = Area {
                        left: left.min(self.width),
                        top: top.min(self.height),
                        right: (left + size).min(self.width),
                        bottom: (top + size).min(self.height),
                    };
                    self.fill(dot, color);
                }
            }
            left += CHARACTER * size;
        }
        left
    }

    fn row(&mut self, row: usize, area: Area) -> &mut [u32] {
        &mut self.pixels[row * self.width..][area.left..area.right.max(area.left)]
    }
}

/// Returns a color between two: at 0 the first, at 256 the second.
#[inline]
fn mix(from: u32, to: u32, share: u32) -> u32 {
    // Red and blue at once: there is room for the products between them.
    let both = |color: u32| color & 0x00ff_00ff;
    let green = |color: u32| color & 0x0000_ff00;
    let rest = 256 - share;
    let odd = (both(from) * rest + both(to) * share) >> 8;
    let even = (green(from) * rest + green(to) * share) >> 8;
    both(odd) | green(even)
}

#[cfg(test)]
mod tests;
