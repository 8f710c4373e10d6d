//! The service behind the program: its contract, and the run of a whole simulation.

use std::sync::Arc;
use std::time::Instant;

use command::{KindOptions, Services, StartError, Started};
use futures_util::stream::{self, Stream};
use insula::pool::{BuildError, FactoryError, PoolBuilder, WorkerContext};
use insula::{Context, Payload, WorkerPool, contract};
use serde::{Deserialize, Serialize};

use super::conductor::{Simulation, Take};
use super::sample::{Energies, Phase, Sample, Traffic};
use super::{FluidState, Grid, Particles, Potential, SimulationError, start};

/// A service that simulates fluids.
#[contract(wire)]
pub trait Fluids {
    /// Simulates a fluid, and tells its state every [`every`](Simulate::every) steps.
    ///
    /// # Ordering
    /// Samples come in the order of their steps. The first one is the state before any step.
    ///
    /// # Cancellation
    /// Dropping the stream kills the domains.
    ///
    /// # Errors
    /// See [`SimulationError`].
    #[idempotent]
    async fn simulate(
        &self,
        cx: &Context,
        request: Simulate,
    ) -> Result<impl Stream<Item = Result<Sample, SimulationError>>, SimulationError>;
}

/// A fluid, and the course of its simulation. In reduced units.
///
/// ```
/// use science::fluid::{FluidTally, FluidsCaller, Simulate, start_fluid_pool};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let request = Simulate {
///     state: None,
///     particles: 500,
///     density: 0.8442,
///     temperature: 0.722,
///     switch: 2.1,
///     cutoff: 2.5,
///     time_step: 0.004,
///     equilibration: 0,
///     production: 20,
///     every: 5,
///     frames: 0,
///     neighbors: 0,
///     seed: 1,
///     domains: 2,
/// };
/// let mut tally = FluidTally::new(&request);
/// insula::block_on(async {
///     let pool = start_fluid_pool().await?;
///     let caller: FluidsCaller = pool.caller();
///     let mut samples = caller.simulate(request).await?;
///     while let Some(sample) = samples.next().await {
///         tally.add(&sample?);
///     }
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })?;
/// assert_eq!(tally.course().len(), 5);
/// assert!(tally.summary().potential.mean < -6.0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulate {
    /// The state in which the simulation begins, if that is not a lattice: see
    /// [`begin_with`](Self::begin_with).
    pub state: Option<Arc<FluidState>>,
    /// The number of particles, at least 2 and at most [`MOST_PARTICLES`](Self::MOST_PARTICLES).
    pub particles: u32,
    /// Particles per volume.
    pub density: f64,
    /// The temperature to which the equilibration brings the fluid.
    pub temperature: f64,
    /// The distance at which the potential begins to fade.
    pub switch: f64,
    /// The distance at which it has faded.
    pub cutoff: f64,
    /// The time of a step.
    pub time_step: f64,
    /// The steps during which the temperature is kept.
    pub equilibration: u64,
    /// The steps after those.
    pub production: u64,
    /// The steps from one sample to the next, at least 1. During the equilibration the velocities
    /// are scaled as often.
    pub every: u32,
    /// The steps from one frame to the next, of both phases: rounded up to samples; 0 for none. The
    /// last step has one too.
    pub frames: u64,
    /// The steps from one count of neighbors to the next, in the production; 0 for none.
    pub neighbors: u64,
    /// The seed of the first velocities.
    pub seed: u64,
    /// The number of domains, at least 1.
    pub domains: usize,
}

impl Simulate {
    /// The most particles of a simulation.
    pub const MOST_PARTICLES: u32 = 10_000_000;

    /// Returns the request for a simulation that begins with a state. The number of particles and the
    /// density are those of the state.
    ///
    /// With the state after a step of another simulation, the same potential and the same time step, and
    /// without an equilibration, the simulation has the bits of the further steps of that one.
    #[must_use]
    pub fn begin_with(self, state: Arc<FluidState>) -> Self {
        let particles = u32::try_from(state.particles.len()).unwrap_or(u32::MAX);
        Self {
            particles,
            density: f64::from(particles) / state.length.powi(3),
            state: Some(state),
            ..self
        }
    }

    /// Returns the edge of the box.
    pub fn length(&self) -> f64 {
        match &self.state {
            Some(state) => state.length,
            None => (f64::from(self.particles) / self.density).cbrt(),
        }
    }

    /// Returns the cells of the box.
    ///
    /// # Errors
    /// The box has to be at least 2.5 cut-offs long.
    pub fn grid(&self) -> Result<Grid, SimulationError> {
        Grid::new(self.length(), self.cutoff)
    }

    /// Returns the number of all steps.
    pub fn steps(&self) -> u64 {
        self.equilibration + self.production
    }

    /// Returns whether the sample at a step has a frame, where `before` is the step of the sample
    /// before it.
    pub fn has_frame(&self, before: u64, step: u64) -> bool {
        is_due(self.frames, before, step) || (self.frames > 0 && step == self.steps())
    }

    fn check(&self) -> Result<(), SimulationError> {
        let positive = [
            ("density", self.density),
            ("temperature", self.temperature),
            ("time step", self.time_step),
        ];
        for (field, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                let field = field.into();
                return Err(SimulationError::Invalid { field });
            }
        }
        let count = self.particles;
        let fits =
            |it: &FluidState| it.particles.len() == count as usize && it.particles.is_whole();
        let fits = self.state.as_deref().is_none_or(fits);
        let is_possible = (2..=Self::MOST_PARTICLES).contains(&count);
        let counts = [
            ("number of particles", is_possible && fits),
            ("interval of samples", self.every > 0),
        ];
        match counts.into_iter().find(|(_, is_valid)| !is_valid) {
            Some((field, _)) => Err(SimulationError::Invalid {
                field: field.into(),
            }),
            None => Ok(()),
        }
    }
}

/// The service. It has no state: each call has domains of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct FluidWorker;

impl Fluids for FluidWorker {
    async fn simulate(
        &self,
        _cx: &Context,
        request: Simulate,
    ) -> Result<impl Stream<Item = Result<Sample, SimulationError>>, SimulationError> {
        let course = Course::begin(request).await?;
        Ok(stream::try_unfold(course, async |mut course| {
            let sample = course.next().await?;
            Ok(sample.map(|sample| (sample, course)))
        }))
    }
}

/// A simulation between two samples.
struct Course {
    request: Simulate,
    simulation: Simulation,
    start: Instant,
    step: u64,
    is_begun: bool,
    /// The factor that brings the velocities to the wanted temperature.
    scale: f64,
}

impl Course {
    async fn begin(request: Simulate) -> Result<Self, SimulationError> {
        request.check()?;
        let grid = request.grid()?;
        let potential = Potential::smooth(request.switch, request.cutoff)?;
        let begun = Instant::now();
        let (time_step, domains) = (request.time_step, request.domains);
        let lattice;
        let particles = match &request.state {
            Some(state) => &state.particles,
            None => {
                let (temperature, seed) = (request.temperature, request.seed);
                lattice = start(request.particles, request.length(), temperature, seed);
                &lattice
            }
        };
        let simulation = Simulation::start(particles, grid, potential, time_step, domains).await?;
        Ok(Self {
            request,
            simulation,
            start: begun,
            step: 0,
            is_begun: false,
            scale: 1.0,
        })
    }

    /// Runs to the next sample. Returns `None` after the last one.
    async fn next(&mut self) -> Result<Option<Sample>, SimulationError> {
        let steps = if self.is_begun { self.steps() } else { 0 };
        if self.is_begun && steps == 0 {
            return Ok(None);
        }
        self.is_begun = true;
        let before = self.step;
        self.step += u64::from(steps);
        let take = Take {
            particles: self.request.has_frame(before, self.step),
            neighbors: self.phase() == Phase::Production
                && is_due(self.request.neighbors, before, self.step),
        };
        let parts = self.simulation.advance(steps, self.scale, take).await?;
        let mut sample = Sample {
            step: self.step,
            phase: self.phase(),
            energies: Energies::default(),
            frame: None,
            neighbors: take.neighbors.then(|| vec![0; super::Radial::BINS]),
            traffic: Traffic::default(),
            time: self.start.elapsed(),
        };
        let mut frame = Particles::default();
        for part in &parts {
            part.layers
                .iter()
                .for_each(|layer| sample.energies.add(layer));
            sample.traffic.add(&part.traffic);
            if let Some(particles) = &part.particles {
                frame.append(particles);
            }
            if let (Some(sums), Some(counts)) = (&mut sample.neighbors, &part.neighbors) {
                sums.iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count);
            }
        }
        sample.frame = take.particles.then(|| frame.sorted());
        self.scale = self.next_scale(&sample.energies);
        Ok(Some(sample))
    }

    /// The steps to the next sample: there is one at the end of each phase.
    fn steps(&self) -> u32 {
        let end = if self.step < self.request.equilibration {
            self.request.equilibration
        } else {
            self.request.steps()
        };
        let left = u32::try_from(end - self.step).unwrap_or(u32::MAX);
        left.min(self.request.every)
    }

    fn phase(&self) -> Phase {
        if self.step < self.request.equilibration {
            Phase::Equilibration
        } else {
            Phase::Production
        }
    }

    fn next_scale(&self, energies: &Energies) -> f64 {
        let temperature = energies.temperature(self.request.particles);
        // Not at the last step: the energy of the production is that of its first sample.
        let is_scaled = self.step < self.request.equilibration && self.step > 0;
        if is_scaled && temperature > 0.0 {
            (self.request.temperature / temperature).sqrt()
        } else {
            1.0
        }
    }
}

/// Returns whether a multiple of `every` is in `(before, now]`, or the start is now.
fn is_due(every: u64, before: u64, now: u64) -> bool {
    every > 0 && (now == 0 || now / every > before / every)
}

/// The pool of one worker that conducts simulations.
pub type FluidPool = WorkerPool<FluidsRequest>;

/// Starts a pool with one worker. What runs in parallel are the domains, which are isolates of
/// their own.
///
/// # Errors
/// See [`BuildError`].
pub async fn start_fluid_pool() -> Result<FluidPool, BuildError> {
    let builder = builder().service::<FluidsResponder<_>>(factory);
    builder.build().await
}

/// As [`start_fluid_pool`], with a worker of some kind, in whose process the domains are too. Where
/// that is not this process, it has what [`serve`] serves there.
///
/// # Errors
/// See [`StartError`].
pub async fn start_fluid_pool_of(kind: &KindOptions) -> Result<Started<FluidsRequest>, StartError> {
    let started = kind.start::<FluidsResponder<_>>(builder(), MOST_BYTES, factory);
    started.await
}

fn builder() -> PoolBuilder {
    WorkerPool::builder().name("fluids").workers(1)
}

/// The most bytes of a state that goes to another process or comes from there: those of the most
/// particles, and what is beside them.
pub const MOST_BYTES: usize = Simulate::MOST_PARTICLES as usize * 64;

/// Simulates fluids, where a worker is not in the process of its pool.
pub fn serve(services: &mut impl Services) {
    services.serve::<FluidsResponder<_>>(factory);
}

async fn factory(_cx: WorkerContext) -> Result<FluidWorker, FactoryError> {
    Ok(FluidWorker)
}

impl Payload for Sample {
    fn size_hint(&self) -> u64 {
        let frame = self.frame.as_ref().map_or(0, Particles::bytes);
        let counts = self.neighbors.as_ref().map_or(0, Vec::len) * size_of::<u64>();
        size_of::<Self>() as u64 + frame + counts as u64
    }
}
