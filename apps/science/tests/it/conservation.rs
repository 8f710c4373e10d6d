//! Risk: energy and momentum that are not conserved.

use science::fluid::Simulate;

use crate::support::{liquid, tally};

#[test]
fn the_energy_drifts_by_less_than_a_hundred_thousandth_in_10_000_steps() {
    let request = Simulate {
        particles: 256,
        time_step: 0.002,
        equilibration: 200,
        production: 10_000,
        domains: 2,
        ..liquid()
    };
    let summary = tally(&request).summary();
    assert_eq!(summary.samples, 1001);
    assert!(summary.drift.abs() < 1e-5, "{}", summary.drift);
    let deviation = summary.total.deviation / summary.total.mean.abs();
    assert!(deviation < 3e-5, "{deviation}");
    assert!(summary.momentum < 1e-13, "{}", summary.momentum);
}

#[test]
fn the_error_of_the_energy_falls_with_the_square_of_the_step() {
    let deviation = |time_step: f64| {
        let request = Simulate {
            time_step,
            production: (2.0 / time_step) as u64,
            every: 5,
            domains: 2,
            ..liquid()
        };
        tally(&request).summary().total.deviation
    };
    let ratio = deviation(0.008) / deviation(0.004);
    assert!((3.0..5.5).contains(&ratio), "{ratio}");
}
