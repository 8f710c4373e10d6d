//! The state in which a simulation begins.

use std::f64::consts::TAU;

use super::Particles;

/// Places particles on a face-centered cubic lattice that fills a box of edge `length`, with random
/// velocities of a temperature and without momentum. The same seed gives the same bits.
///
/// If no lattice has exactly so many sites, the empty ones are spread evenly.
pub fn start(count: u32, length: f64, temperature: f64, seed: u64) -> Particles {
    let mut particles = Particles::default();
    let edge = (1..u64::from(u32::MAX))
        .find(|edge| 4 * edge.pow(3) >= u64::from(count))
        .unwrap_or(1);
    let sites = 4 * edge.pow(3);
    for number in 0..count {
        let site = u64::from(number) * sites / u64::from(count);
        let place = place(site, edge);
        for (axis, halves) in particles.position.iter_mut().zip(place) {
            // A quarter off the edge, so that no particle is on a border.
            axis.push((halves as f64 + 0.5) / (2 * edge) as f64 * length);
        }
        particles.number.push(number);
    }
    let mut random = fastrand::Rng::with_seed(seed);
    for axis in &mut particles.velocity {
        axis.extend((0..count).map(|_| normal(&mut random)));
        let mean = axis.iter().sum::<f64>() / f64::from(count.max(1));
        axis.iter_mut().for_each(|velocity| *velocity -= mean);
    }
    heat(&mut particles, temperature);
    particles
}

/// Returns the coordinates of a site, in halves of the lattice constant.
fn place(site: u64, edge: u64) -> [u64; 3] {
    const FACES: [[u64; 3]; 4] = [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]];
    let (cell, face) = (site / 4, FACES[(site % 4) as usize]);
    let cell = [cell / (edge * edge), cell / edge % edge, cell % edge];
    [0, 1, 2].map(|axis| 2 * cell[axis] + face[axis])
}

/// By the method of Box and Muller (1958).
fn normal(random: &mut fastrand::Rng) -> f64 {
    // Not zero, whose logarithm is infinite.
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (TAU * random.f64()).cos()
}

fn heat(particles: &mut Particles, temperature: f64) {
    let freedom = 3.0 * (particles.len() as f64 - 1.0);
    let squares: f64 = particles.velocity.iter().flatten().map(|v| v * v).sum();
    if squares > 0.0 {
        let factor = (temperature * freedom / squares).sqrt();
        let velocities = particles.velocity.iter_mut().flatten();
        velocities.for_each(|velocity| *velocity *= factor);
    }
}
