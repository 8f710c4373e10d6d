//! A simulation: the group of its domains, and the questions that it asks them.

use futures_util::future::join_all;
use insula::control::{ExitReason, UncaughtError};
use insula::{Isolate, IsolateGroup, ReceivePort, SendPort};

use super::domain::{Command, Start, run};
pub use super::domain::{Part, Take};
use super::{Grid, Particles, Potential, SimulationError, Slab};

/// A running simulation, used by the isolate that has started it.
///
/// # Cancellation
/// Dropping it kills its domains.
#[derive(Debug)]
pub struct Simulation {
    group: IsolateGroup,
    domains: usize,
    commands: Vec<SendPort<Command>>,
    ends: ReceivePort<ExitReason>,
    /// Takes the errors of the domains, which would be printed otherwise. The same error comes with
    /// the end.
    _errors: ReceivePort<UncaughtError>,
}

impl Simulation {
    /// Spawns `domains` isolates, each with a part of `particles`.
    ///
    /// # Errors
    /// See [`SimulationError`].
    ///
    /// # Panics
    /// If there is no current isolate.
    pub async fn start(
        particles: &Particles,
        grid: Grid,
        potential: Potential,
        time_step: f64,
        domains: usize,
    ) -> Result<Self, SimulationError> {
        let domains = grid.domains(domains)?;
        let (mut hellos, ends, errors) =
            (ReceivePort::new(), ReceivePort::new(), ReceivePort::new());
        let (ends_port, errors_port) = (ends.send_port(), errors.send_port());
        let group = IsolateGroup::new("domains");
        let count = domains.len();
        for (index, layers) in domains.into_iter().enumerate() {
            let start = Start {
                index,
                slab: Slab::new(grid, potential, layers, particles),
                time_step,
                hello: hellos.send_port(),
            };
            // On a thread of its own: it computes for most of a step, and then waits for its neighbors,
            // which are to compute at the same time.
            let spawned = Isolate::builder()
                .name(format!("domain {index}"))
                .group(&group)
                .on_error(&errors_port)
                .on_exit(&ends_port, ExitReason::clone)
                .spawn_pinned(|_, start| run(start), start);
            if let Err(error) = spawned {
                group.kill_all();
                let reason = format!("its thread cannot be started: {error}");
                return Err(SimulationError::DomainEnded { reason });
            }
        }
        let mut simulation = Self {
            group,
            domains: count,
            commands: Vec::new(),
            ends,
            _errors: errors,
        };
        let mut addresses = Vec::new();
        while addresses.len() < count {
            // There is an end only if a domain cannot begin.
            match hellos.recv().await {
                Some(address) => addresses.push(address),
                None => return Err(simulation.end_of_a_domain().await),
            }
        }
        addresses.sort_by_key(|address| address.index);
        for (index, address) in addresses.iter().enumerate() {
            let left = &addresses[(index + count - 1) % count];
            let right = &addresses[(index + 1) % count];
            let connect = Command::Connect {
                left: left.from_right.clone(),
                right: right.from_left.clone(),
            };
            // A domain that has ended is found by the first question.
            let _ = address.commands.send(connect);
            simulation.commands.push(address.commands.clone());
        }
        Ok(simulation)
    }

    /// Returns the group of the domains.
    pub fn group(&self) -> &IsolateGroup {
        &self.group
    }

    /// Multiplies all velocities by `scale`, runs `steps` steps, and returns the parts of the state
    /// after them, from the first domain to the last. Without steps it is the present state.
    ///
    /// # Errors
    /// See [`SimulationError`]. After an error there are no domains any more.
    pub async fn advance(
        &mut self,
        steps: u32,
        scale: f64,
        take: Take,
    ) -> Result<Vec<Part>, SimulationError> {
        let questions = self.commands.iter().map(|domain| {
            domain.ask(|answer| Command::Advance {
                steps,
                scale,
                take,
                answer,
            })
        });
        let answers = join_all(questions).await;
        // A domain with an error leaves the others without a neighbor: its error is the cause.
        let failed = answers.iter().find_map(|answer| match answer {
            Ok(Err(error)) => Some(error.clone()),
            _ => None,
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let mut parts = Vec::new();
        for answer in answers {
            match answer {
                Ok(part) => parts.push(part?),
                Err(_) => return Err(self.end_of_a_domain().await),
            }
        }
        Ok(parts)
    }

    /// Returns why the domains have ended: the reason of the first one that did not just follow its
    /// neighbor.
    async fn end_of_a_domain(&mut self) -> SimulationError {
        self.group.kill_all();
        let mut reason = "for no reason".to_owned();
        // As many messages as there are domains, since each has ended or was killed.
        for _ in 0..self.domains {
            match self.ends.recv().await {
                Some(ExitReason::Panicked(report)) => {
                    reason = report.message().to_owned();
                    break;
                }
                Some(end) => reason = end.to_string(),
                None => break,
            }
        }
        SimulationError::DomainEnded { reason }
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.group.kill_all();
    }
}
