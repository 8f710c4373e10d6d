//! Risk: pixels are drawn twice, not at all, or outside.

use super::{Area, Canvas, Placement, mix};
use crate::tile::{STRIDE, Tile};

fn gradient() -> Tile {
    let color = |index: usize| ((index % STRIDE) as u32) << 8 | (index / STRIDE) as u32;
    Tile((0..STRIDE * STRIDE).map(color).collect())
}

#[test]
fn mixing() {
    assert_eq!(mix(0x0012_3456, 0x00ff_ffff, 0), 0x0012_3456);
    assert_eq!(mix(0x0012_3456, 0x00fe_dcba, 256), 0x00fe_dcba);
    assert_eq!(mix(0, 0x00ff_ffff, 128), 0x007f_7f7f);
}

/// At its own size and on whole pixels a tile is drawn unchanged, without the pixels around it.
#[test]
fn a_tile_at_its_own_size() {
    let mut pixels = vec![0; 20 * 10];
    let mut canvas = Canvas::new(&mut pixels, 20);
    let area = canvas.cover(5.0, 2.0, 200.0, 200.0);
    canvas.draw(
        &gradient(),
        &Placement {
            area,
            corner: (5.0, 2.0),
            scale: 1.0,
        },
    );
    assert_eq!(pixels[2 * 20 + 4], 0);
    assert_eq!(pixels[2 * 20 + 5], 0x0101);
    assert_eq!(pixels[4 * 20 + 8], 0x0403);
}

/// Neighboring tiles cover every pixel once, at any scale.
#[test]
fn areas_of_neighbors_meet() {
    let mut pixels = vec![0; 50];
    let canvas = Canvas::new(&mut pixels, 50);
    let mut end = 0;
    for step in 0..8 {
        let at = |step: i32| f64::from(step) * 7.3 - 3.9;
        let area = canvas.cover(at(step), 0.0, at(step + 1), 1.0);
        assert_eq!((area.left, area.top, area.bottom), (end, 0, 1));
        end = area.right;
    }
    assert_eq!(end, 50);
}

#[test]
fn text_stays_on_the_canvas() {
    let mut pixels = vec![0; 30 * 12];
    let mut canvas = Canvas::new(&mut pixels, 30);
    assert_eq!(canvas.write("ms", (2, 2), 1, 7), 18);
    canvas.write("far too long", (20, 9), 2, 9);
    assert!(pixels.contains(&7) && pixels.contains(&9));
}

#[test]
fn tinting_keeps_some_of_what_is_below() {
    let mut pixels = vec![0x00ff_ffff; 4];
    let mut canvas = Canvas::new(&mut pixels, 2);
    let area = Area {
        left: 1,
        ..canvas.area()
    };
    canvas.tint(area, 0, 128);
    assert_eq!(pixels, [0x00ff_ffff, 0x007f_7f7f, 0x00ff_ffff, 0x007f_7f7f]);
}
