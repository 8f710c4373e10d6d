//! The tiles that exist, and those that a view still needs.

use std::collections::HashMap;

use crate::canvas::{Canvas, Placement};
use crate::fixed::Fixed;
use crate::tile::{BITS, SIDE, Tile, TileKey};
use crate::view::View;

/// The number of tiles that are kept, some 70 MB.
const CAPACITY: usize = 1024;
/// The number of levels by which the first tiles of a view are coarser.
const COARSER: i32 = 3;
/// The number of levels up to which a coarser tile is searched for a missing one.
const UP: i32 = 16;

/// The color where no tile is known.
const NOTHING: u32 = 0x000a_0d16;

/// Tiles by place. If there is no room, the least recently shown tiles are dropped.
#[derive(Debug, Default)]
pub struct Atlas {
    tiles: HashMap<TileKey, Known>,
    shown: u64,
}

#[derive(Debug)]
struct Known {
    tile: Tile,
    /// The number of pictures drawn when the tile was last shown.
    shown: u64,
}

impl Atlas {
    /// Adds a tile.
    pub fn insert(&mut self, key: TileKey, tile: Tile) {
        // As if it had just been shown: otherwise it could be dropped before the first picture with
        // it.
        let shown = self.shown;
        self.tiles.insert(key, Known { tile, shown });
        if self.tiles.len() > CAPACITY {
            self.forget_some();
        }
    }

    /// Returns whether a tile exists.
    pub fn contains(&self, key: &TileKey) -> bool {
        self.tiles.contains_key(key)
    }

    /// Returns the missing tiles of a view, most urgent first: a few coarse ones for the whole
    /// view, then fine ones from the middle outwards.
    pub fn missing(&self, view: &View, size: (u32, u32)) -> Vec<TileKey> {
        let level = level_of(view);
        let mut keys = Vec::new();
        for level in [level - COARSER, level] {
            let mut missing = tiles_in(view, size, level);
            missing.retain(|key| !self.contains(key));
            missing.sort_by_cached_key(|key| {
                let (left, top, side) = key.place(view);
                let middle = (left + side / 2.0, top + side / 2.0);
                // Whole pixels are exact enough, and unlike an `f64` have an order.
                middle.0.hypot(middle.1) as u64
            });
            keys.append(&mut missing);
        }
        keys
    }

    /// Draws the known part of a view: in place of a missing tile, the best coarser or finer ones.
    pub fn draw(&mut self, view: &View, canvas: &mut Canvas<'_>) {
        self.shown += 1;
        let area = canvas.area();
        let size = (area.right as u32, area.bottom as u32);
        let middle = (area.right as f64 / 2.0, area.bottom as f64 / 2.0);
        for key in tiles_in(view, size, level_of(view)) {
            if self.draw_part(&key, &key, view, middle, canvas) {
                continue;
            }
            let coarser = (1..=UP).map(|up| key.ancestor(up));
            let mut found = coarser.filter(|it| self.tiles.contains_key(it));
            match found.next() {
                Some(ancestor) => {
                    self.draw_part(&ancestor, &key, view, middle, canvas);
                }
                None => {
                    let area = cover(&key, view, middle, canvas);
                    canvas.fill(area, NOTHING);
                }
            }
            // Over the coarser one: after zooming out, finer tiles of the same place still exist.
            for child in key.children() {
                self.draw_part(&child, &child, view, middle, canvas);
            }
        }
    }

    /// Draws the part of a tile inside the square `within`, if the tile exists.
    fn draw_part(
        &mut self,
        key: &TileKey,
        within: &TileKey,
        view: &View,
        middle: (f64, f64),
        canvas: &mut Canvas<'_>,
    ) -> bool {
        let Some(known) = self.tiles.get_mut(key) else {
            return false;
        };
        known.shown = self.shown;
        let (left, top, side) = key.place(view);
        let placement = Placement {
            area: cover(within, view, middle, canvas),
            corner: (left + middle.0, top + middle.1),
            scale: SIDE as f64 / side,
        };
        canvas.draw(&known.tile, &placement);
        true
    }

    /// Drops the least recently shown eighth of the tiles.
    fn forget_some(&mut self) {
        let mut shown: Vec<_> = self.tiles.values().map(|known| known.shown).collect();
        // Several at once: the search looks at all tiles, and should not be repeated for each new
        // one.
        let eighth = shown.len() / 8;
        let (_, limit, _) = shown.select_nth_unstable(eighth);
        let limit = *limit;
        let now = self.shown;
        self.tiles
            // A tile of the present picture is kept in any case. It would be requested again at
            // once.
            .retain(|_, known| known.shown > limit || known.shown == now);
    }
}

/// Returns the level whose pixels are closest to those of the view; if in doubt, the finer one.
pub(crate) fn level_of(view: &View) -> i32 {
    (view.zoom - 0.3).ceil() as i32
}

/// Returns the visible tiles of a level.
fn tiles_in(view: &View, (width, height): (u32, u32), level: i32) -> Vec<TileKey> {
    let pixel = view.pixel();
    let half = |length: u32| Fixed::from_f64(f64::from(length) / 2.0 * pixel);
    let (half_width, half_height) = (half(width), half(height));
    let (re, im) = view.center;
    let first = TileKey::at(level, (re - half_width, im + half_height));
    let last = TileKey::at(level, (re + half_width, im - half_height));
    let rows = first.y..=last.y;
    rows.flat_map(|y| (first.x..=last.x).map(move |x| TileKey { level, x, y }))
        .filter(may_be_colored)
        .collect()
}

/// Returns whether a tile may differ from plain background: the square of 4 around zero may.
fn may_be_colored(key: &TileKey) -> bool {
    let reach = 1i128 << (key.level + 3 - BITS).clamp(0, 126);
    (-reach - 1..=reach).contains(&key.x) && (-reach - 1..=reach).contains(&key.y)
}

fn cover(
    key: &TileKey,
    view: &View,
    middle: (f64, f64),
    canvas: &Canvas<'_>,
) -> crate::canvas::Area {
    let (left, top, side) = key.place(view);
    let (left, top) = (left + middle.0, top + middle.1);
    canvas.cover(left, top, left + side, top + side)
}

#[cfg(test)]
mod tests;
