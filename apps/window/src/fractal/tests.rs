//! Risk: a picture is wrong in a way that is hard to see.

use super::{DEEP, Grid, Reference, escape, escape_beside, steps_at};
use crate::fixed::Fixed;

fn reference(re: &str, im: &str, steps: u32) -> Reference {
    Reference::new((re.parse().unwrap(), im.parse().unwrap()), steps)
}

#[test]
fn points_that_are_known_to_be_inside() {
    for point in [
        (0.0, 0.0),
        (-1.0, 0.0),
        (-0.1, 0.1),
        (0.25, 0.0),
        (-1.3, 0.0),
        (0.0, 1.0),
    ] {
        assert_eq!(escape(point, 2000), f32::INFINITY, "{point:?}");
    }
}

#[test]
fn points_that_are_known_to_be_outside() {
    for point in [
        (0.26, 0.0),
        (1.0, 1.0),
        (-2.01, 0.0),
        (0.5, 0.5),
        (-0.75, 0.1),
    ] {
        assert!(escape(point, 2000).is_finite(), "{point:?}");
    }
}

/// Farther out, orbits escape sooner, without jumps between neighbors.
#[test]
fn escape_times_are_smooth() {
    let times: Vec<_> = (0..4000)
        .map(|it| escape((0.3 + f64::from(it) * 1e-4, 0.0), 500))
        .collect();
    for pair in times.windows(2) {
        let change = pair[0] - pair[1];
        assert!((-0.01..0.5).contains(&change), "{pair:?}");
    }
}

/// Following the difference from a reference gives the same result as following the orbit, also for
/// references that escape or are inside the set.
#[test]
fn differences_agree_with_orbits() {
    for (re, im) in [
        ("-0.7436438870371587", "0.1318259042053119"),
        ("-1", "0"),
        ("0.4", "0.4"),
    ] {
        let reference = reference(re, im, 1000);
        let (re, im) = reference.center();
        let mut compared = 0;
        for (dx, dy) in (0..400).map(|it| (f64::from(it % 20) - 9.5, f64::from(it / 20) - 9.5)) {
            let delta = (dx * 0.06, dy * 0.06);
            let direct = escape((re.to_f64() + delta.0, im.to_f64() + delta.1), 1000);
            let beside = escape_beside(reference.orbit(), delta, 1000);
            // Near the border rounding decides, so only points that escape early are compared
            // closely.
            if direct < 60.0 {
                assert!(
                    (direct - beside).abs() < 1e-2,
                    "{delta:?}: {direct} and {beside}"
                );
                compared += 1;
            }
        }
        assert!(compared > 30, "{compared}");
    }
}

/// At 2^-90 all pixels are one `f64`, but they differ.
#[test]
fn deep_pixels_differ() {
    let level = 90;
    let reference = reference(
        "-0.743643887037158704752191506114774",
        "0.131825904205311970493132056385139",
        steps_at(level),
    );
    let grid = Grid {
        corner: reference.center(),
        level,
        reference: &reference,
    };
    assert!(level >= DEEP);
    let mut times = [0f32; 64];
    grid.row(0, &mut times);
    let mut sorted: Vec<_> = times.map(f32::to_bits).into();
    sorted.sort_unstable();
    sorted.dedup();
    assert!(sorted.len() > 32, "{times:?}");
}

/// Levels on either side of the switch between the two methods show the same picture.
#[test]
fn both_ways_meet() {
    let at = |level: i32| {
        let reference = reference("-0.7436438870371587", "0.1318259042053119", 4000);
        let half = Fixed::scaled(1, -level);
        let corner = (reference.center().0 + half, reference.center().1);
        let grid = Grid {
            corner,
            level,
            reference: &reference,
        };
        let mut times = [0f32; 2];
        grid.row(0, &mut times);
        times
    };
    // The second pixel of the finer grid is where the middle of the coarser one's first step is.
    let (coarse, fine) = (at(DEEP - 1), at(DEEP));
    assert!((coarse[0] - fine[1]).abs() < 1.0, "{coarse:?} {fine:?}");
}
