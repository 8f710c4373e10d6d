//! The tiles that there are, and those that a view still needs.

use std::collections::HashMap;

use crate::canvas::{Canvas, Placement};
use crate::fixed::Fixed;
use crate::tile::{BITS, SIDE, Tile, TileKey};
use crate::view::View;

/// Tiles that are kept: some 70 MB of them.
const CAPACITY: usize = 1024;
/// How much coarser the tiles are that a view asks for first.
const COARSER: i32 = 3;
/// How far up a coarser tile is looked for where a tile is missing.
const UP: i32 = 16;

/// Where no tile is known.
const NOTHING: u32 = 0x000a_0d16;

/// Tiles by their places. The ones that were shown least recently go when there is no room.
#[derive(Debug, Default)]
pub struct Atlas {
    tiles: HashMap<TileKey, Known>,
    shown: u64,
}

#[derive(Debug)]
struct Known {
    tile: Tile,
    /// The count of pictures when it was last shown.
    shown: u64,
}

impl Atlas {
    /// Adds a tile.
    pub fn insert(&mut self, key: TileKey, tile: Tile) {
        let shown = self.shown;
        self.tiles.insert(key, Known { tile, shown });
        if self.tiles.len() > CAPACITY {
            self.forget_some();
        }
    }

    /// Whether a tile is there.
    pub fn contains(&self, key: &TileKey) -> bool {
        self.tiles.contains_key(key)
    }

    /// The tiles that are missing for a view, most urgent first: a few coarse ones for
    /// everything, then fine ones from the middle outwards.
    pub fn missing(&self, view: &View, size: (u32, u32)) -> Vec<TileKey> {
        let level = level_of(view);
        let mut keys = Vec::new();
        for level in [level - COARSER, level] {
            let mut missing = tiles_in(view, size, level);
            missing.retain(|key| !self.contains(key));
            missing.sort_by_cached_key(|key| {
                let (left, top, side) = key.place(view);
                let middle = (left + side / 2.0, top + side / 2.0);
                middle.0.hypot(middle.1) as u64
            });
            keys.append(&mut missing);
        }
        keys
    }

    /// Draws what is known of a view: where a tile is missing, the best coarser or finer one.
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
            for child in key.children() {
                self.draw_part(&child, &child, view, middle, canvas);
            }
        }
    }

    /// Draws the part of a tile that lies in the square `within`, if the tile is there.
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

    /// Drops the eighth of the tiles that was shown least recently.
    fn forget_some(&mut self) {
        let mut shown: Vec<_> = self.tiles.values().map(|known| known.shown).collect();
        let eighth = shown.len() / 8;
        let (_, limit, _) = shown.select_nth_unstable(eighth);
        let limit = *limit;
        let now = self.shown;
        self.tiles
            .retain(|_, known| known.shown > limit || known.shown == now);
    }
}

/// The level whose pixels are closest to those of the view, and rather finer than coarser.
pub(crate) fn level_of(view: &View) -> i32 {
    (view.zoom - 0.3).ceil() as i32
}

/// The tiles of a level that can be seen.
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

/// Whether a tile may be anything but plain background: the square of 4 around zero is not.
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
