//! Risk: energies and forces that are not those of the potential.

use std::fs;

use insula::Isolate;
use insula::isolate::RunError;
use science::fluid::{Energies, Grid, Particles, Potential, Radial, Simulation, Take};

use crate::support::{assert_close, at_rest, json, numbers, reference};

/// The state of some particles after no step: its energies, neighbors, and forces by number.
fn state(
    particles: &Particles,
    length: f64,
    potential: Potential,
    domains: usize,
) -> (Energies, Vec<u64>) {
    let particles = particles.clone();
    let run = Isolate::run_async(async move || {
        let grid = Grid::new(length, potential.cutoff()).unwrap();
        let mut simulation = Simulation::start(&particles, grid, potential, 0.001, domains)
            .await
            .unwrap();
        let take = Take {
            particles: false,
            neighbors: true,
        };
        let parts = simulation.advance(0, 1.0, take).await.unwrap();
        let mut energies = Energies::default();
        let mut counts = vec![0; Radial::BINS];
        for part in parts {
            part.layers.iter().for_each(|layer| energies.add(layer));
            let pairs = counts.iter_mut().zip(part.neighbors.unwrap());
            pairs.for_each(|(sum, count)| *sum += count);
        }
        (energies, counts)
    });
    let state: Result<_, RunError> = run.wait();
    state.unwrap()
}

/// The state of `fluid_numpy.py`.
fn scattered() -> (Particles, f64) {
    let (side, length) = (8_u32, 9.1);
    let place = |number: u32| {
        let site = [number / (side * side), number / side % side, number % side];
        [0, 1, 2].map(|axis| {
            let shift = f64::from((number * 7919 + axis * 104_729) % 1000) / 1000.0;
            (f64::from(site[axis as usize]) + 0.25 * shift) * (length / f64::from(side))
        })
    };
    let positions: Vec<_> = (0..side.pow(3)).map(place).collect();
    (at_rest(&positions), length)
}

#[test]
fn the_sample_configuration_of_nist_has_its_published_energies() {
    let text = fs::read_to_string(reference("nist_configuration_4.xyz")).unwrap();
    let positions = text.lines().skip(2).map(|line| {
        let words: Vec<f64> = line
            .split(' ')
            .skip(1)
            .map(|it| it.parse().unwrap())
            .collect();
        [words[0], words[1], words[2]]
    });
    let particles = at_rest(&positions.collect::<Vec<_>>());
    let potential = Potential::truncated(3.0).unwrap();
    for domains in [1, 2] {
        let (energies, _) = state(&particles, 8.0, potential, domains);
        // All published digits.
        assert_close(energies.potential, -1.6790e1, 5e-4);
        assert_close(energies.virial, -4.6249e1, 5e-4);
    }
    // Of the four configurations, by their numbers of particles and edges.
    for (count, edge, published) in [
        (800.0, 10.0, -1.9849e2),
        (200.0, 8.0, -2.4230e1),
        (400.0, 10.0, -4.9622e1),
        (30.0, 8.0, -5.4517e-1),
    ] {
        let tail = potential.tail(count / f64::powi(edge, 3));
        assert_close(count * tail.energy, published, 5e-5 * f64::abs(published));
    }
}

#[test]
fn a_smooth_potential_gives_the_energy_forces_and_neighbors_of_numpy() {
    let (particles, length) = scattered();
    let wanted = json("fluid_numpy.json");
    let number = |name: &str| wanted[name].as_f64().unwrap();
    let potential = Potential::smooth(2.5, 3.0).unwrap();
    for domains in [1, 2, 3] {
        let (energies, counts) = state(&particles, length, potential, domains);
        assert_close(energies.potential, number("energy"), 1e-9);
        assert_close(energies.virial, number("virial"), 1e-8);
        let counts: Vec<_> = counts.into_iter().map(|count| count as f64).collect();
        assert_eq!(counts, numbers(&wanted["counts"]));
    }
}

#[test]
fn forces_are_those_of_numpy() {
    let (particles, length) = scattered();
    let wanted = json("fluid_numpy.json");
    let potential = Potential::smooth(2.5, 3.0).unwrap();
    // A step so short that nothing moves by more than a rounding: the change of the velocity is the
    // force, times the step.
    let time_step = 1e-9;
    let run = Isolate::run_async(async move || {
        let grid = Grid::new(length, potential.cutoff()).unwrap();
        let mut simulation = Simulation::start(&particles, grid, potential, time_step, 2)
            .await
            .unwrap();
        let take = Take {
            particles: true,
            neighbors: false,
        };
        let parts = simulation.advance(1, 1.0, take).await.unwrap();
        let velocity = |number: u32| {
            let found = parts.iter().find_map(|part| {
                let particles = part.particles.as_ref().unwrap();
                let index = particles.number.iter().position(|it| *it == number)?;
                Some([0, 1, 2].map(|axis: usize| particles.velocity[axis][index]))
            });
            found.unwrap()
        };
        [0, 1, 77, 300, 511].map(velocity)
    });
    let forces = wanted["forces"].as_array().unwrap();
    for (found, wanted) in run.wait().unwrap().iter().zip(forces) {
        for (found, wanted) in found.iter().zip(numbers(wanted)) {
            assert_close(found / time_step, wanted, 1e-9 * wanted.abs().max(1.0));
        }
    }
}

#[test]
fn the_switch_is_smooth_at_both_ends() {
    let potential = Potential::smooth(2.5, 3.0).unwrap();
    let step = 1e-4;
    for end in [2.5, 3.0] {
        let energy = |steps: f64| potential.energy(end + steps * step);
        // Of the first and second derivatives before and behind the end.
        let before = (
            energy(0.0) - energy(-1.0),
            energy(0.0) - 2.0 * energy(-1.0) + energy(-2.0),
        );
        let behind = (
            energy(1.0) - energy(0.0),
            energy(2.0) - 2.0 * energy(1.0) + energy(0.0),
        );
        assert_close(before.0 / step, behind.0 / step, 1e-4);
        assert_close(before.1 / (step * step), behind.1 / (step * step), 5e-3);
    }
    assert_eq!(potential.energy(3.0), 0.0);
    // Without a switch it is the plain potential.
    assert_close(
        potential.energy(2.0),
        4.0 * (2_f64.powi(-12) - 2_f64.powi(-6)),
        1e-15,
    );
}

#[test]
fn the_tail_of_a_switch_is_between_those_of_its_two_ends() {
    let tail = |potential: Potential| potential.tail(0.8).energy;
    let smooth = tail(Potential::smooth(2.5, 3.0).unwrap());
    let shorter = tail(Potential::truncated(2.5).unwrap());
    let longer = tail(Potential::truncated(3.0).unwrap());
    assert!(
        shorter < smooth && smooth < longer,
        "{shorter} {smooth} {longer}"
    );
    // A switch that is almost none.
    let sudden = tail(Potential::smooth(2.9999, 3.0).unwrap());
    assert_close(sudden, longer, 1e-4);
}
