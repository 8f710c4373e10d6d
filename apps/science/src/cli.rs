//! The command line.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use command::{EXIT_STATUS, InspectRunOptions, NodeOptions, WorkerOptions};
use science::fluid::{FluidState, Simulate};
use science::matrices::{Generate, Matrix, Operation, Precision};

/// Computations of science on isolates: molecular dynamics, and operations on matrices.
#[derive(Debug, Parser)]
#[command(name = "science", version, after_help = EXIT_STATUS)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) program: Program,

    #[command(flatten)]
    pub(crate) inspect: InspectRunOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    #[command(flatten)]
    Run(Command),
    /// Serve runs on other machines, which ask for --kind nats, until it is told to stop
    Worker(NodeOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Md(MdOptions),
    Matrices(MatricesOptions),
}

/// Simulates a Lennard-Jones fluid in a periodic box, in reduced units.
///
/// The box is cut into domains, one for each worker: isolates that send each other the positions
/// along their borders in each step. The results have the same bits for any number of workers.
///
/// The domains are in one process, since they send their positions through ports. With another --kind that
/// is the process of the one worker, and if that ends, the simulation begins anew and goes on with the
/// same bits.
#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct MdOptions {
    /// Begin with the last state of a trajectory, in place of a lattice; with --equilibrate 0 the run goes
    /// on as the one that wrote it
    #[arg(long, value_name = "FILE.xyz", conflicts_with_all = ["particles", "density"])]
    pub(crate) from: Option<PathBuf>,

    /// The number of particles
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(2..=i64::from(Simulate::MOST_PARTICLES)))]
    particles: u32,

    /// Particles per volume
    #[arg(long, default_value_t = 0.8442, value_parser = positive)]
    density: f64,

    /// The temperature that the equilibration keeps
    #[arg(long, default_value_t = 0.722, value_parser = positive)]
    temperature: f64,

    /// The distance beyond which there is no force
    #[arg(long, default_value_t = 2.75, value_parser = positive)]
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

    /// Steps from one frame of the trajectory to the next, rounded up to measurements
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

    /// Returns the simulation on one domain, which begins with a state that was read. Its frames are
    /// those of the trajectory.
    pub(crate) fn request(&self, state: Option<FluidState>) -> Simulate {
        let request = Simulate {
            state: None,
            particles: self.particles,
            density: self.density,
            temperature: self.temperature,
            switch: self.switch.unwrap_or(0.85 * self.cutoff),
            cutoff: self.cutoff,
            time_step: self.time_step,
            equilibration: self.equilibrate,
            production: self.steps,
            every: self.every,
            frames: if self.out.is_some() { self.frames } else { 0 },
            neighbors: Self::NEIGHBORS,
            seed: self.seed,
            domains: 1,
        };
        match state {
            Some(state) => request.begin_with(Arc::new(state)),
            None => request,
        }
    }
}

/// Multiplies and inverts matrices, and computes their eigenvalues and singular values.
///
/// Each result is checked, and its residual is printed: how far it is from a right one, relative to
/// the input.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct MatricesOptions {
    /// Files with matrices: .npy of NumPy, .mtx of the Matrix Market
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Make a matrix: random:ROWS, positive:ROWS, hilbert:ROWS or difference:ROWS; may be repeated
    #[arg(long, value_name = "KIND:ROWS")]
    pub(crate) generate: Vec<Generate>,

    /// The operations, with commas between them [default: all that fit the shape]
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    operations: Vec<OperationName>,

    /// The right factor of products [default: the transpose of the left one]
    #[arg(long, value_name = "FILE")]
    pub(crate) by: Option<PathBuf>,

    /// How precise the results are: high refines them with sums of twice the precision
    #[arg(long, value_enum, default_value_t = PrecisionName::Standard)]
    precision: PrecisionName,

    /// The folder that receives the results as .npy files, and singular-values.png; made if missing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// The seed of random matrices
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) workers: WorkerOptions,

    /// Print the results as JSON, and no table
    #[arg(long)]
    pub(crate) json: bool,

    /// No progress bar and no table
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl MatricesOptions {
    pub(crate) fn precision(&self) -> Precision {
        match self.precision {
            PrecisionName::Standard => Precision::Standard,
            PrecisionName::High => Precision::High,
        }
    }

    /// Returns the operations for a matrix: those that were asked for, or all that fit its shape.
    pub(crate) fn operations(&self, matrix: &Matrix) -> Vec<Operation> {
        if !self.operations.is_empty() {
            return self.operations.iter().map(|&name| name.into()).collect();
        }
        let fits = |name: &OperationName| match name {
            OperationName::Invert | OperationName::Eigenvalues => matrix.is_square(),
            OperationName::Multiply | OperationName::SingularValues => true,
        };
        let all = OperationName::value_variants().iter();
        all.filter(|name| fits(name))
            .map(|&name| name.into())
            .collect()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionName {
    Standard,
    High,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OperationName {
    Multiply,
    Invert,
    Eigenvalues,
    SingularValues,
}

impl From<OperationName> for Operation {
    fn from(name: OperationName) -> Self {
        match name {
            OperationName::Multiply => Self::Multiply,
            OperationName::Invert => Self::Invert,
            OperationName::Eigenvalues => Self::Eigenvalues,
            OperationName::SingularValues => Self::SingularValues,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("expected a number above 0".to_owned()),
    }
}
