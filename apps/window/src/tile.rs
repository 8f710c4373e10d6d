//! Tiles: squares of the plane, each computed in one piece.

use std::sync::Arc;

use crate::fixed::Fixed;
use crate::fractal::{Grid, Reference};
use crate::palette;
use crate::view::View;

/// The side of a tile in pixels, as a power of two.
pub(crate) const BITS: i32 = 7;
/// The side of a tile in pixels.
pub(crate) const SIDE: usize = 1 << BITS;
/// The side with one more pixel at each end, so that a tile can be scaled smoothly up to its edge.
pub(crate) const STRIDE: usize = SIDE + 2;

/// The place of a tile: its level, each of which has a grid of its own, and its cell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TileKey {
    /// Pixels are 2^-level apart.
    pub level: i32,
    /// Column, to the right from the real part 0.
    pub x: i128,
    /// Row, downwards from the imaginary part 0.
    pub y: i128,
}

/// The colors of a tile, as 0x00rrggbb, in rows of `STRIDE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tile(pub Box<[u32]>);

/// A request to compute a tile.
#[derive(Clone, Debug)]
pub struct TileRequest {
    /// The tile's place.
    pub key: TileKey,
    /// A point in or near the tile.
    pub reference: Arc<Reference>,
}

impl TileKey {
    /// Returns the tile of this level that contains a point.
    pub(crate) fn at(level: i32, (re, im): (Fixed, Fixed)) -> Self {
        Self {
            level,
            x: re.cell(BITS - level),
            y: (Fixed::default() - im).cell(BITS - level),
        }
    }

    /// Returns the tile `up` levels above that contains this one.
    pub(crate) fn ancestor(&self, up: i32) -> Self {
        Self {
            level: self.level - up,
            // A shift rounds down, which is the tile that contains this one left of zero as well.
            // `/` would round towards zero.
            x: self.x >> up,
            y: self.y >> up,
        }
    }

    /// Returns the four tiles of the next level that make up this one.
    pub(crate) fn children(&self) -> [Self; 4] {
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| Self {
            level: self.level + 1,
            x: 2 * self.x + x,
            y: 2 * self.y + y,
        })
    }

    /// Returns the upper left corner, in pixels of a window whose middle is `(0, 0)`, and the side.
    pub(crate) fn place(&self, view: &View) -> (f64, f64, f64) {
        let pixel = view.pixel();
        let left = Fixed::scaled(self.x, BITS - self.level) - view.center.0;
        let top = view.center.1 - Fixed::scaled(-self.y, BITS - self.level);
        let side = SIDE as f64 * 2f64.powf(view.zoom - f64::from(self.level));
        (left.to_f64() / pixel, top.to_f64() / pixel, side)
    }

    /// Returns the middle of a pixel; -1 and [`SIDE`] are the pixels around the tile.
    fn pixel(&self, x: i128, y: i128) -> (Fixed, Fixed) {
        // In half steps, in which the middle of a pixel is a whole number.
        let half_steps = |tile: i128, pixel: i128| 2 * ((tile << BITS) + pixel) + 1;
        (
            Fixed::scaled(half_steps(self.x, x), -self.level - 1),
            Fixed::scaled(-half_steps(self.y, y), -self.level - 1),
        )
    }
}

impl TileRequest {
    /// Computes the tile, row by row. Before each row, an error of `check` ends it.
    ///
    /// # Errors
    /// Returns the error of `check`.
    pub fn compute<E>(&self, mut check: impl FnMut() -> Result<(), E>) -> Result<Tile, E> {
        let grid = Grid {
            corner: self.key.pixel(-1, -1),
            level: self.key.level,
            reference: &self.reference,
        };
        let mut times = [0f32; STRIDE];
        let mut colors = Vec::with_capacity(STRIDE * STRIDE);
        for y in 0..STRIDE {
            check()?;
            grid.row(y, &mut times);
            colors.extend(times.iter().map(|time| palette::color(*time)));
        }
        Ok(Tile(colors.into()))
    }
}
