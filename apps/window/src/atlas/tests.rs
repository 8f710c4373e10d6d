//! Risk: tiles are missing, drawn in the wrong place, or kept without bound.

use std::convert::Infallible;
use std::sync::Arc;

use super::{Atlas, CAPACITY, level_of};
use crate::canvas::Canvas;
use crate::fractal::{Reference, steps_at};
use crate::tile::{STRIDE, Tile, TileKey, TileRequest};
use crate::view::View;

const SIZE: (u32, u32) = (320, 200);

fn plain(color: u32) -> Tile {
    Tile(vec![color; STRIDE * STRIDE].into())
}

fn drawn(atlas: &mut Atlas, view: &View) -> Vec<u32> {
    let mut pixels = vec![0; (SIZE.0 * SIZE.1) as usize];
    atlas.draw(view, &mut Canvas::new(&mut pixels, SIZE.0 as usize));
    pixels
}

#[test]
fn coarse_tiles_come_first_and_then_the_middle() {
    let mut view = View::home(SIZE);
    // Away from the border between two tiles.
    view.pan((5.0, 20.0));
    let missing = Atlas::default().missing(&view, SIZE);
    let level = level_of(&view);
    assert!(missing[0].level < level);
    assert!(missing.is_sorted_by_key(|key| key.level));
    let first = missing.iter().find(|key| key.level == level).unwrap();
    assert_eq!(*first, TileKey::at(level, view.center));
}

#[test]
fn tiles_replace_coarser_ones_and_cover_everything() {
    let view = View {
        zoom: 7.4,
        ..View::home(SIZE)
    };
    let mut atlas = Atlas::default();
    let missing = atlas.missing(&view, SIZE);
    let first_fine = missing.partition_point(|key| key.level < 7);
    let (coarse, fine) = missing.split_at(first_fine);
    for key in coarse {
        atlas.insert(*key, plain(1));
    }
    assert!(drawn(&mut atlas, &view).iter().all(|pixel| *pixel == 1));
    for (index, key) in fine.iter().enumerate() {
        atlas.insert(*key, plain(2));
        let is_last = index + 1 == fine.len();
        assert_eq!(
            drawn(&mut atlas, &view).iter().all(|pixel| *pixel == 2),
            is_last
        );
    }
    assert_eq!(atlas.missing(&view, SIZE), []);
}

/// After zooming out, finer tiles are drawn in their places.
#[test]
fn finer_tiles_stand_in() {
    let view = View::home(SIZE);
    let child = TileKey::at(level_of(&view), view.center).children()[0];
    let mut atlas = Atlas::default();
    atlas.insert(child, plain(7));
    assert!(drawn(&mut atlas, &view).contains(&7));
}

#[test]
fn what_is_shown_stays_and_the_rest_is_bounded() {
    let view = View::home(SIZE);
    let mut atlas = Atlas::default();
    for key in atlas.missing(&view, SIZE) {
        atlas.insert(key, plain(1));
    }
    for x in 0..2 * CAPACITY as i128 {
        drawn(&mut atlas, &view);
        atlas.insert(TileKey { level: 60, x, y: 0 }, plain(0));
        assert!(atlas.tiles.len() <= CAPACITY);
    }
    let level = level_of(&view);
    assert!(
        atlas
            .missing(&view, SIZE)
            .iter()
            .all(|key| key.level != level)
    );
}

fn compute(key: TileKey, view: &View) -> Tile {
    let reference = Arc::new(Reference::new(view.center, steps_at(key.level)));
    let request = TileRequest { key, reference };
    let Ok(tile) = request.compute(|| Ok::<_, Infallible>(()));
    tile
}

/// The pixels around a tile are those of its neighbor.
#[test]
fn tiles_overlap_by_a_pixel() {
    let view = View::home(SIZE);
    let left = TileKey::at(8, view.center);
    let right = TileKey {
        x: left.x + 1,
        ..left
    };
    let (left, right) = (compute(left, &view), compute(right, &view));
    for row in 0..STRIDE {
        let at = |tile: &Tile, column: usize| tile.0[row * STRIDE + column];
        assert_eq!(at(&left, STRIDE - 1), at(&right, 1));
        assert_eq!(at(&left, STRIDE - 2), at(&right, 0));
    }
}

/// The center of the view is in its place: black in the heart of the set.
#[test]
fn the_heart_is_black() {
    let view = View::home(SIZE);
    let mut atlas = Atlas::default();
    for key in atlas.missing(&view, SIZE) {
        atlas.insert(key, compute(key, &view));
    }
    let pixels = drawn(&mut atlas, &view);
    let at = |re: f64, im: f64| {
        let x = f64::from(SIZE.0) / 2.0 + (re + 0.65) / view.pixel();
        let y = f64::from(SIZE.1) / 2.0 - im / view.pixel();
        pixels[y as usize * SIZE.0 as usize + x as usize]
    };
    assert_eq!((at(-0.2, 0.0), at(-1.0, 0.1)), (0, 0));
    assert!(at(0.6, 0.6) != 0 && at(-1.9, 0.3) != 0);
}
