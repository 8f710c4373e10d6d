//! The results of a run: a table, JSON, and plots.

use std::fmt;
use std::time::Duration;

use science::fluid::{Energies, FluidSummary, FluidTally, Simulate, Spread};
use science::plot::{BLUE, GREEN, Line, ORANGE, Plot};
use serde_json::{Value, json};

/// The figures of a run. Its `Display` is the table that the program prints.
pub(super) struct Report<'a> {
    pub(super) request: &'a Simulate,
    pub(super) summary: &'a FluidSummary,
    pub(super) elapsed: Duration,
    /// The rate, relative to that of one worker.
    pub(super) speed_up: Option<f64>,
}

impl Report<'_> {
    fn rate(&self) -> f64 {
        self.request.steps() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub(super) fn json(&self) -> Value {
        let Self {
            request, summary, ..
        } = self;
        let spread = |it: Spread| json!({"mean": it.mean, "deviation": it.deviation});
        json!({
            "particles": request.particles,
            "density": request.density,
            "length": request.length(),
            "workers": request.domains,
            "time_step": request.time_step,
            "steps": {"equilibration": request.equilibration, "production": request.production},
            "samples": summary.samples,
            "temperature": spread(summary.temperature),
            "potential_energy_per_particle": spread(summary.potential),
            "total_energy_per_particle": spread(summary.total),
            "pressure": spread(summary.pressure),
            "tail": {"energy": summary.tail.energy, "pressure": summary.tail.pressure},
            "drift_in_10000_steps": summary.drift,
            "largest_momentum_per_particle": summary.momentum,
            "seconds": self.elapsed.as_secs_f64(),
            "steps_per_second": self.rate(),
            "speed_up": self.speed_up,
            "messages": summary.traffic.messages,
            "bytes_moved": summary.traffic.bytes,
            "migrated": summary.traffic.migrated,
        })
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request, summary, ..
        } = self;
        let mut row = |name: &str, value: String| writeln!(f, "{name:<18}{value}");
        row(
            "fluid",
            format!(
                "{} particles, density {}, box {:.4}",
                request.particles,
                request.density,
                request.length()
            ),
        )?;
        row(
            "steps",
            format!(
                "{} of {}, after {} at a constant temperature",
                request.production, request.time_step, request.equilibration
            ),
        )?;
        row("time", format!("{:.2} s", self.elapsed.as_secs_f64()))?;
        row("rate", format!("{:.1} steps/s", self.rate()))?;
        if let Some(speed_up) = self.speed_up {
            row("speed-up", format!("{speed_up:.2} times one worker"))?;
        }
        row("workers", request.domains.to_string())?;
        row("temperature", spread(summary.temperature))?;
        row(
            "potential energy",
            spread(summary.potential) + " per particle",
        )?;
        row("pressure", spread(summary.pressure))?;
        row(
            "beyond cut-off",
            format!(
                "energy {:.4}, pressure {:.4}, included above",
                summary.tail.energy, summary.tail.pressure
            ),
        )?;
        row(
            "total energy",
            format!("{:.6} per particle", summary.total.mean),
        )?;
        row(
            "energy drift",
            format!(
                "{:.1e} in 10,000 steps, deviation {:.1e}",
                summary.drift,
                summary.total.deviation / summary.total.mean.abs()
            ),
        )?;
        row(
            "momentum",
            format!("at most {:.1e} per particle", summary.momentum),
        )?;
        row(
            "messages",
            format!(
                "{} between domains, {:.1} MB, {} particles moved over",
                summary.traffic.messages,
                summary.traffic.bytes as f64 / 1e6,
                summary.traffic.migrated
            ),
        )
    }
}

fn spread(spread: Spread) -> String {
    format!("{:.4} ± {:.4}", spread.mean, spread.deviation)
}

/// The energies per particle over time, relative to those at the start of the production.
pub(super) fn energy_plot(request: &Simulate, tally: &FluidTally) -> Plot {
    let each = |energy: f64| energy / f64::from(request.particles);
    let line = |name: &str, color, value: fn(&Energies) -> f64| Line {
        name: name.to_owned(),
        color,
        points: tally
            .course()
            .iter()
            .map(|(step, energies)| (*step as f64 * request.time_step, each(value(energies))))
            .collect(),
    };
    let x = match request.equilibration {
        0 => "time (reduced units)",
        _ => "time (reduced units); from the gray line on nothing but the forces acts",
    };
    Plot {
        title: format!(
            "{} particles at density {}: energy",
            request.particles, request.density
        ),
        x: x.to_owned(),
        y: "energy per particle".to_owned(),
        lines: vec![
            line("kinetic", ORANGE, |energies| energies.kinetic),
            line("potential", BLUE, |energies| energies.potential),
            line("total", GREEN, Energies::total),
        ],
        mark: (request.equilibration > 0)
            .then_some(request.equilibration as f64 * request.time_step),
    }
}

/// The radial distribution function.
pub(super) fn radial_plot(request: &Simulate, tally: &FluidTally) -> Plot {
    let points = tally.radial().points(request.particles, request.density);
    Plot {
        title: format!(
            "{} particles at density {}: radial distribution",
            request.particles, request.density
        ),
        x: "distance r (reduced units)".to_owned(),
        y: "g(r)".to_owned(),
        lines: vec![Line {
            name: "g(r)".to_owned(),
            color: BLUE,
            points: points
                .iter()
                .map(|point| (point.distance, point.density))
                .collect(),
        }],
        mark: None,
    }
}
