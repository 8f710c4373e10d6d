//! What a simulation tells while it runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Particles;

/// Sums over particles, in reduced units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Energies {
    /// Kinetic energy.
    pub kinetic: f64,
    /// Potential energy, without what the cut-off leaves out.
    pub potential: f64,
    /// The sum of force times distance over all pairs.
    pub virial: f64,
    /// The momentum along each axis.
    pub momentum: [f64; 3],
}

impl Energies {
    /// Returns the kinetic and potential energy together.
    pub fn total(&self) -> f64 {
        self.kinetic + self.potential
    }

    /// Returns the temperature of so many particles whose center does not move.
    pub fn temperature(&self, particles: u32) -> f64 {
        2.0 * self.kinetic / (3.0 * (f64::from(particles) - 1.0))
    }

    /// Returns the pressure in a box of edge `length`, without what the cut-off leaves out.
    pub fn pressure(&self, particles: u32, length: f64) -> f64 {
        let volume = length.powi(3);
        (f64::from(particles) * self.temperature(particles) + self.virial / 3.0) / volume
    }

    /// Adds those of further layers. The order matters for the last bits.
    pub fn add(&mut self, other: &Self) {
        self.kinetic += other.kinetic;
        self.potential += other.potential;
        self.virial += other.virial;
        for (sum, value) in self.momentum.iter_mut().zip(other.momentum) {
            *sum += value;
        }
    }
}

/// The two phases of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The velocities are scaled to the temperature, so the energy is not conserved.
    Equilibration,
    /// Nothing but the forces acts.
    Production,
}

/// The messages between domains, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Particles that have changed their domains.
    pub migrated: u64,
    /// Messages with particles or halos.
    pub messages: u64,
    /// The bytes of the arrays in them.
    pub bytes: u64,
}

impl Traffic {
    /// Adds the counts of another domain.
    pub fn add(&mut self, other: &Self) {
        self.migrated += other.migrated;
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

/// The state of a simulation after a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The steps since the start of the equilibration.
    pub step: u64,
    /// The phase of the step.
    pub phase: Phase,
    /// The sums over all particles.
    pub energies: Energies,
    /// All particles in the order of their numbers, if the request asks for them at this step.
    pub frame: Option<Particles>,
    /// The counts of neighbors by distance, if the request asks for them at this step.
    pub neighbors: Option<Vec<u64>>,
    /// The messages between domains.
    pub traffic: Traffic,
    /// The time since the start of the simulation.
    pub time: Duration,
}
