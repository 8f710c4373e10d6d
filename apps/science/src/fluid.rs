//! Molecular dynamics of a Lennard-Jones fluid.
//!
//! The fluid fills a periodic cube. All quantities are in reduced units: the length is σ, the
//! energy ε, and the mass that of one particle. Velocity Verlet moves the particles, whose forces
//! come from a potential that is switched off smoothly before its cut-off, so that the energy does
//! not drift.
//!
//! # Domains
//! The cube is cut along x into *domains*, each an isolate with the particles of its part
//! ([`Slab`] is the part without the isolate). The domains run a step together, each as far as it
//! can: a domain moves its particles, hands those that have left to its two neighbors, sends the
//! positions along its borders, its *halos*, and computes forces once the halos of its neighbors
//! are there. Nothing else connects the domains within a step: no barrier, no lock and no shared
//! memory. A [`Simulation`] spawns them as one group, and asks them for so many steps at a time.
//!
//! # The same bits for any number of domains
//! The force on a particle is a sum over all of its neighbors in an order that only their cells
//! and their numbers determine. Energies are added up within layers of cells, and the layers from
//! the first to the last. A border between two domains runs between two layers. So no sum depends
//! on the borders, and a run has the same bits for any number of domains, on any number of
//! threads.
//!
//! # One call for a whole simulation
//! [`Fluids::simulate`] is one call, and a step is none. A step begins where the one before it has
//! ended, so calls for steps could only follow each other, and a hundred of them side by side would
//! all compute the first step. What runs in parallel is inside of a step.
//!
//! A [`Simulate`] has the first particles or the lattice of them, the step and the number of steps.
//! It has no total time, of which a rounding could take or add a step; no list of forces and no kind
//! of boundary, since there is one of each here, and the potential has its distances in the request.
//! A [`Sample`] has the number of its step, the energies, the time since the start and, if that is
//! asked for, the state; the last sample is the result. The worker that has served a call is in the
//! report that [`detailed`](insula::Call::detailed) adds to any answer.
//!
//! # No charges
//! Charges would not pay here. The force between two of them falls with the square of the distance,
//! and cannot be cut off: its long part is a sum over all particles and their images, which the fast
//! methods compute with a Fourier transform of the whole box in each step. Then each domain waits for
//! all others, in place of its two neighbors, and most of the time is that of the transform. It would
//! measure the exchange of a transposed array, where this program shows domains with halos. The sums
//! over a grid would also have to be independent of the borders, or the bits would differ with the
//! number of domains.

mod conductor;
mod domain;
mod error;
mod force;
mod grid;
mod lattice;
mod particles;
mod potential;
mod radial;
mod sample;
mod service;
mod slab;
mod summary;
mod watch;
mod xyz;

pub use conductor::{Part, Simulation, Take};
pub use error::SimulationError;
pub use grid::Grid;
pub use lattice::start;
pub use particles::Particles;
pub use potential::{Potential, Tail};
pub use radial::{Radial, RadialPoint};
pub use sample::{Energies, Phase, Sample, Traffic};
pub use service::{
    FluidPool, FluidWorker, Fluids, FluidsCaller, FluidsRequest, FluidsResponder, MOST_BYTES,
    Simulate, serve, start_fluid_pool, start_fluid_pool_of,
};
pub use slab::{Halo, Side, Slab};
pub use summary::{FluidSummary, FluidTally, Spread};
pub use watch::picture;
pub use xyz::{FluidState, TrajectoryError, read_last_state, write_frame};
