//! The figures of a run.

use super::{Energies, Phase, Radial, Sample, Simulate, Tail, Traffic};

/// Collects samples.
#[derive(Clone, Debug)]
pub struct FluidTally {
    request: Simulate,
    /// All samples' steps and energies, from the start of the equilibration.
    course: Vec<(u64, Energies)>,
    /// The first of `course` that belongs to the production.
    production: Option<usize>,
    radial: Radial,
    traffic: Traffic,
    largest_momentum: f64,
}

/// The mean and the standard deviation of a quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the single values.
    pub deviation: f64,
}

/// The figures of a run's production.
#[derive(Clone, Debug, PartialEq)]
pub struct FluidSummary {
    /// The number of samples.
    pub samples: usize,
    /// The temperature.
    pub temperature: Spread,
    /// Potential energy per particle, with the tail.
    pub potential: Spread,
    /// Kinetic and potential energy per particle, without the tail.
    pub total: Spread,
    /// The pressure, with the tail.
    pub pressure: Spread,
    /// What the cut-off leaves out.
    pub tail: Tail,
    /// The change of the total energy in 10,000 steps, relative to it: the slope of the line that
    /// fits best. Zero with fewer than two samples.
    pub drift: f64,
    /// The largest momentum along an axis, per particle, in any sample.
    pub momentum: f64,
    /// The messages between domains, in both phases.
    pub traffic: Traffic,
}

impl FluidTally {
    /// Creates a tally of a run.
    pub fn new(request: &Simulate) -> Self {
        Self {
            request: request.clone(),
            course: Vec::new(),
            production: None,
            radial: Radial::new(request.cutoff),
            traffic: Traffic::default(),
            largest_momentum: 0.0,
        }
    }

    /// Counts a sample.
    pub fn add(&mut self, sample: &Sample) {
        if sample.phase == Phase::Production {
            self.production.get_or_insert(self.course.len());
        }
        self.course.push((sample.step, sample.energies));
        if let Some(counts) = &sample.neighbors {
            self.radial.add(counts);
        }
        self.traffic = sample.traffic;
        for momentum in sample.energies.momentum {
            self.largest_momentum = self.largest_momentum.max(momentum.abs());
        }
    }

    /// Returns the steps of all samples, and their energies.
    pub fn course(&self) -> &[(u64, Energies)] {
        &self.course
    }

    /// Returns the radial distribution function.
    pub fn radial(&self) -> &Radial {
        &self.radial
    }

    /// Returns the figures of the production.
    pub fn summary(&self) -> FluidSummary {
        let (particles, length) = (self.request.particles, self.request.length());
        let production = &self.course[self.production.unwrap_or(self.course.len())..];
        let spread = |value: &dyn Fn(&Energies) -> f64| {
            Spread::of(production.iter().map(|(_, energies)| value(energies)))
        };
        let tail = super::Potential::smooth(self.request.switch, self.request.cutoff)
            .map(|potential| potential.tail(self.request.density))
            .unwrap_or(Tail {
                energy: 0.0,
                pressure: 0.0,
            });
        let each = |energy: f64| energy / f64::from(particles);
        FluidSummary {
            samples: production.len(),
            temperature: spread(&|it| it.temperature(particles)),
            potential: spread(&|it| each(it.potential) + tail.energy),
            total: spread(&|it| each(it.total())),
            pressure: spread(&|it| it.pressure(particles, length) + tail.pressure),
            tail,
            drift: drift(production),
            momentum: each(self.largest_momentum),
            traffic: self.traffic,
        }
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / count;
        let squares: f64 = values.map(|value| (value - mean) * (value - mean)).sum();
        Self {
            mean,
            deviation: (squares / (count - 1.0).max(1.0)).sqrt(),
        }
    }
}

/// The slope of the total energy, for 10,000 steps and relative to the mean.
fn drift(samples: &[(u64, Energies)]) -> f64 {
    let steps = Spread::of(samples.iter().map(|(step, _)| *step as f64)).mean;
    let energy = Spread::of(samples.iter().map(|(_, energies)| energies.total())).mean;
    let (mut products, mut squares) = (0.0, 0.0);
    for (step, energies) in samples {
        let distance = *step as f64 - steps;
        products += distance * (energies.total() - energy);
        squares += distance * distance;
    }
    if squares > 0.0 && energy != 0.0 {
        products / squares * 10_000.0 / energy.abs()
    } else {
        0.0
    }
}
