//! References, and simulations of a size that a test can afford.

use std::path::{Path, PathBuf};

use insula::block_on;
use science::fluid::{
    FluidTally, FluidsCaller, Particles, Sample, Simulate, SimulationError, start_fluid_pool,
};
use serde_json::Value;

/// A file of `tests/references`.
pub(crate) fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/references")
        .join(name)
}

/// The content of a reference.
pub(crate) fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(reference(name)).unwrap()).unwrap()
}

/// The matrices that are shipped.
pub(crate) fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/matrices")
}

/// A list of numbers in a reference.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Particles that do not move.
pub(crate) fn at_rest(positions: &[[f64; 3]]) -> Particles {
    let axis = |axis: usize| positions.iter().map(|position| position[axis]).collect();
    Particles {
        position: [0, 1, 2].map(axis),
        velocity: std::array::from_fn(|_| vec![0.0; positions.len()]),
        number: (0..positions.len() as u32).collect(),
    }
}

/// A liquid of 500 particles, on one domain.
pub(crate) fn liquid() -> Simulate {
    Simulate {
        state: None,
        particles: 500,
        density: 0.8442,
        temperature: 0.722,
        switch: 2.0,
        cutoff: 2.5,
        time_step: 0.004,
        equilibration: 0,
        production: 100,
        every: 10,
        frames: 0,
        neighbors: 0,
        seed: 7,
        domains: 1,
    }
}

/// All samples of a simulation.
pub(crate) fn simulate(request: &Simulate) -> Result<Vec<Sample>, SimulationError> {
    block_on(async {
        let pool = start_fluid_pool().await.unwrap();
        let caller: FluidsCaller = pool.caller();
        let app = |error| match error {
            insula::CallError::App(error) => error,
            other => panic!("{other}"),
        };
        let mut samples = Vec::new();
        let answer = caller.simulate(request.clone()).await;
        let mut stream = match answer {
            Ok(stream) => stream,
            Err(insula::CallError::App(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        };
        while let Some(sample) = stream.next().await {
            samples.push(sample.map_err(app)?);
        }
        Ok(samples)
    })
}

/// The tally of a simulation.
pub(crate) fn tally(request: &Simulate) -> FluidTally {
    let mut tally = FluidTally::new(request);
    for sample in simulate(request).unwrap() {
        tally.add(&sample);
    }
    tally
}

/// Asserts that two numbers differ by `tolerance` at most.
#[track_caller]
pub(crate) fn assert_close(found: f64, wanted: f64, tolerance: f64) {
    assert!(
        (found - wanted).abs() <= tolerance,
        "{found} instead of {wanted} ± {tolerance}"
    );
}
