//! Risk: a picture of the wrong shape, or a reduction below the wanted size.

use super::{ResizeMode, Size};

const BOX: Size = Size::new(800, 600);

#[test]
fn fit_keeps_the_shape_inside_the_box() {
    let fit = |w, h| ResizeMode::Fit.target(Size::new(w, h), BOX);
    assert_eq!(fit(4000, 3000), BOX);
    assert_eq!(fit(4000, 2000), Size::new(800, 400));
    assert_eq!(fit(2000, 4000), Size::new(300, 600));
    assert_eq!(fit(100_000, 10), Size::new(800, 1));
}

#[test]
fn fit_never_enlarges_the_others_do() {
    let small = Size::new(100, 50);
    assert_eq!(ResizeMode::Fit.target(small, BOX), small);
    assert_eq!(ResizeMode::Exact.target(small, BOX), BOX);
    assert_eq!(ResizeMode::Fill.target(small, BOX), BOX);
}

#[test]
fn fill_needs_a_source_that_covers_the_box() {
    let source = Size::new(4000, 2000);
    assert_eq!(
        ResizeMode::Fill.least_source(source, BOX),
        Size::new(1200, 600)
    );
    assert_eq!(
        ResizeMode::Fill.least_source(source.transposed(), BOX),
        Size::new(800, 1600)
    );
    assert_eq!(ResizeMode::Exact.least_source(source, BOX), BOX);
}

#[test]
fn sizes_are_read_and_shown() {
    assert_eq!("800x600".parse(), Ok(BOX));
    assert_eq!("800X600".parse(), Ok(BOX));
    assert_eq!(BOX.to_string(), "800x600");
    for wrong in [
        "", "800", "x600", "800x", "0x600", "800x0", "-1x5", "70000x1", "8 x 6", "1x2x3",
    ] {
        assert!(wrong.parse::<Size>().is_err(), "{wrong}");
    }
}
