//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use command::{EXIT_STATUS, WorkerOptions};
use science::fluid::Simulate;

/// Computations of science on isolates: molecular dynamics, and operations on matrices.
#[derive(Debug, Parser)]
#[command(name = "science", version, after_help = EXIT_STATUS)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Md(MdOptions),
}

/// Simulates a Lennard-Jones fluid in a periodic box, in reduced units.
///
/// The box is cut into domains, one for each worker: isolates that send each other the positions
/// along their borders in each step. The results have the same bits for any number of workers.
#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct MdOptions {
    /// The number of particles
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    particles: u32,

    /// Particles per volume
    #[arg(long, default_value_t = 0.8442, value_parser = positive)]
    density: f64,

    /// The temperature that the equilibration keeps
    #[arg(long, default_value_t = 0.722, value_parser = positive)]
    temperature: f64,

    /// The distance beyond which there is no force
    #[arg(long, default_value_t = 3.0, value_parser = positive)]
    cutoff: f64,

    /// The distance from which on the force is switched off [default: 0.85 of the cut-off]
    #[arg(long, value_parser = positive)]
    switch: Option<f64>,

    /// The time of a step
    #[arg(long, value_name = "TIME", default_value_t = 0.002, value_parser = positive)]
    time_step: f64,

    /// Steps with a constant temperature, before those that count
    #[arg(long, value_name = "STEPS", default_value_t = 2000)]
    equilibrate: u64,

    /// Steps with a constant energy
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) steps: u64,

    /// Steps from one measurement of the energy to the next
    #[arg(long, value_name = "STEPS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,

    /// Steps from one frame of the trajectory to the next
    #[arg(long, value_name = "STEPS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    frames: u64,

    /// The seed of the first velocities
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// The folder that receives trajectory.xyz, energy.png and radial.png; made if missing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Show the particles in the terminal while they move
    #[arg(long, conflicts_with_all = ["quiet", "compare"])]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) workers: WorkerOptions,

    /// Print the results as JSON, and no table
    #[arg(long)]
    pub(crate) json: bool,

    /// No progress bar and no table
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl MdOptions {
    /// The steps from one count of neighbors to the next.
    const NEIGHBORS: u64 = 50;

    /// The steps from one picture to the next.
    const PICTURES: u64 = 20;

    /// Returns the simulation on so many domains.
    pub(crate) fn request(&self, domains: usize) -> Simulate {
        let frames = if self.watch {
            Self::PICTURES
        } else if self.out.is_some() {
            self.frames
        } else {
            0
        };
        Simulate {
            particles: self.particles,
            density: self.density,
            temperature: self.temperature,
            switch: self.switch.unwrap_or(0.85 * self.cutoff),
            cutoff: self.cutoff,
            time_step: self.time_step,
            equilibration: self.equilibrate,
            production: self.steps,
            every: self.every,
            frames,
            neighbors: Self::NEIGHBORS,
            seed: self.seed,
            domains,
        }
    }

    /// Returns whether the frame of a step belongs to the trajectory.
    pub(crate) fn is_in_trajectory(&self, step: u64) -> bool {
        // Frames come at the first sample behind a multiple; those for pictures more often.
        !self.watch || step % self.frames < Self::PICTURES.max(u64::from(self.every))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("expected a number above 0".to_owned()),
    }
}
