//! Risk: the picture moves under the mouse.

use super::{DEEPEST, View};
use crate::fixed::Fixed;

fn deep() -> View {
    View {
        center: (
            "-0.743643887037158704752191506114774".parse().unwrap(),
            "0.131825904205311970493132056385139".parse().unwrap(),
        ),
        zoom: 90.0,
    }
}

/// Returns the offset of a pixel's point from another point, in pixels of the view.
fn offset(view: &View, (right, down): (f64, f64), from: (Fixed, Fixed)) -> (f64, f64) {
    let pixel = view.pixel();
    let re = (view.center.0 - from.0).to_f64() / pixel + right;
    let im = (view.center.1 - from.1).to_f64() / pixel - down;
    (re, im)
}

#[test]
fn the_point_under_the_mouse_stays_there() {
    for mut view in [View::home((960, 600)), deep()] {
        let mouse = (300.0, -120.0);
        let before = view;
        let point = (
            before.center.0 + Fixed::from_f64(mouse.0 * before.pixel()),
            before.center.1 - Fixed::from_f64(mouse.1 * before.pixel()),
        );
        view.zoom_at(mouse, 3.3);
        let (re, im) = offset(&view, mouse, point);
        assert!(re.abs() < 0.01 && im.abs() < 0.01, "{re} {im}");
    }
}

#[test]
fn dragging_there_and_back() {
    let mut view = deep();
    view.pan((123.0, -45.5));
    let (re, im) = offset(&view, (0.0, 0.0), deep().center);
    assert!(
        (re + 123.0).abs() < 1e-3 && (im + 45.5).abs() < 1e-3,
        "{re} {im}"
    );
    view.pan((-123.0, 45.5));
    assert!(view.is_close_to(&deep()));
}

#[test]
fn the_way_to_a_target_ends_there() {
    let home = View::home((960, 600));
    assert!(home.towards(&deep(), 1.0).is_close_to(&deep()));
    assert!(home.towards(&deep(), 0.0).is_close_to(&home));
    let mut near = deep();
    near.pan((10.0, 10.0));
    assert!(near.towards(&deep(), 1.0).is_close_to(&deep()));
}

/// Halfway in, the target is in the same direction and still on the screen.
#[test]
fn the_target_stays_in_sight_on_the_way() {
    let home = View::home((960, 600));
    for part in 0..10 {
        let view = home.towards(&deep(), f64::from(part) / 10.0);
        let (re, im) = offset(&view, (0.0, 0.0), deep().center);
        assert!(re.abs() < 480.0 && im.abs() < 300.0, "{part}: {re} {im}");
    }
}

#[test]
fn depth_is_limited() {
    let mut view = deep();
    view.zoom_at((0.0, 0.0), 1e6);
    assert!(view.zoom <= DEEPEST);
    view.zoom_at((0.0, 0.0), -1e6);
    assert!(view.zoom >= 1.0);
}
