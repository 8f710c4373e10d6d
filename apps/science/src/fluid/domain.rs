//! A domain: an isolate with a slab, and ports to its two neighbors.
//!
//! # Protocol
//! A domain has three ports: one for commands, and one for the parcels of each neighbor. In a step
//! it sends each neighbor two parcels, first the particles that have crossed their border, then the
//! halo; and takes two from each, in the same order. Since a port keeps the order of its sender, a
//! parcel needs no number: the n-th one is that of the n-th exchange. A neighbor may be ahead by
//! one exchange, so a port holds two parcels at most.
//!
//! A single domain is its own neighbor, and the code does not know.
//!
//! # The end
//! A domain ends when its commands or the parcels of a neighbor end. The end of one ends its
//! neighbors, and their neighbors: none waits for a domain that is gone.

use insula::{ReceivePort, ReplyTo, SendPort};

use super::radial::Bins;
use super::sample::{Energies, Traffic};
use super::slab::{Halo, Side, Slab};
use super::{Particles, Radial, SimulationError};

/// What a domain is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// The first command: the ports of the neighbors, for this domain's parcels.
    Connect {
        left: SendPort<Parcel>,
        right: SendPort<Parcel>,
    },
    /// Runs so many steps.
    Advance {
        steps: u32,
        /// The factor for all velocities before the first step.
        scale: f64,
        take: Take,
        answer: ReplyTo<Result<Part, SimulationError>>,
    },
}

/// What is taken from a state, beside its energies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Take {
    /// All particles.
    pub particles: bool,
    /// The counts of neighbors by distance.
    pub neighbors: bool,
}

/// A domain's part of a state.
#[derive(Debug)]
pub struct Part {
    /// The sums of each layer, in their order.
    pub layers: Vec<Energies>,
    /// The domain's particles, if they were asked for.
    pub particles: Option<Particles>,
    /// The counts of neighbors, if they were asked for.
    pub neighbors: Option<Vec<u64>>,
    /// The parcels that the domain has sent since its start.
    pub traffic: Traffic,
}

/// A message between neighbors. Its memory goes back and forth between them.
#[derive(Debug)]
pub(super) enum Parcel {
    Particles(Particles),
    Halo(Halo),
}

/// The addresses of a new domain.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) index: usize,
    pub(super) commands: SendPort<Command>,
    pub(super) from_left: SendPort<Parcel>,
    pub(super) from_right: SendPort<Parcel>,
}

/// What a domain needs to begin.
pub(super) struct Start {
    pub(super) index: usize,
    pub(super) slab: Slab,
    pub(super) time_step: f64,
    pub(super) hello: SendPort<Addresses>,
}

/// The entry of a domain's isolate.
pub(super) async fn run(start: Start) {
    let mut commands = ReceivePort::new();
    let (from_left, from_right) = (ReceivePort::new(), ReceivePort::new());
    let addresses = Addresses {
        index: start.index,
        commands: commands.send_port(),
        from_left: from_left.send_port(),
        from_right: from_right.send_port(),
    };
    if start.hello.send(addresses).is_err() {
        return;
    }
    let Some(Command::Connect { left, right }) = commands.recv().await else {
        return;
    };
    let mut domain = Domain {
        slab: start.slab,
        time_step: start.time_step,
        left: Neighbor::new(left, from_left),
        right: Neighbor::new(right, from_right),
        traffic: Traffic::default(),
        has_forces: false,
    };
    while let Some(Command::Advance {
        steps,
        scale,
        take,
        answer,
    }) = commands.recv().await
    {
        match domain.advance(steps, scale).await {
            Ok(()) => answer.send(Ok(domain.part(take))),
            Err(Stopped::Alone) => return,
            Err(Stopped::By(error)) => return answer.send(Err(error)),
        }
    }
}

/// Why a domain does not go on.
enum Stopped {
    /// A neighbor has ended.
    Alone,
    By(SimulationError),
}

struct Domain {
    slab: Slab,
    time_step: f64,
    left: Neighbor,
    right: Neighbor,
    traffic: Traffic,
    /// False before the first step.
    has_forces: bool,
}

impl Domain {
    /// Runs steps of the velocity Verlet method.
    async fn advance(&mut self, steps: u32, scale: f64) -> Result<(), Stopped> {
        if !self.has_forces {
            self.exchange_halos().await?;
            self.has_forces = true;
        }
        if scale != 1.0 {
            self.slab.scale(scale);
        }
        for _ in 0..steps {
            self.slab.kick(0.5 * self.time_step);
            let (left, right) = (&mut self.left.leaving, &mut self.right.leaving);
            let moved = self.slab.drift(self.time_step, left, right);
            moved.map_err(Stopped::By)?;
            self.exchange_particles().await?;
            self.exchange_halos().await?;
            self.slab.kick(0.5 * self.time_step);
        }
        Ok(())
    }

    /// Sends away the particles that have left, and takes those that come.
    async fn exchange_particles(&mut self) -> Result<(), Stopped> {
        for neighbor in [&mut self.left, &mut self.right] {
            let leaving = std::mem::take(&mut neighbor.leaving);
            self.traffic.migrated += leaving.len() as u64;
            self.traffic.messages += 1;
            self.traffic.bytes += leaving.bytes();
            neighbor.send(Parcel::Particles(leaving))?;
        }
        let from_left = self.left.particles().await?;
        let from_right = self.right.particles().await?;
        self.slab.admit(&from_left, &from_right);
        (self.left.leaving, self.right.leaving) = (from_left, from_right);
        Ok(())
    }

    /// Sends the positions along the borders, takes those of the neighbors, and computes forces.
    async fn exchange_halos(&mut self) -> Result<(), Stopped> {
        for (side, neighbor) in [(Side::Left, &mut self.left), (Side::Right, &mut self.right)] {
            let mut halo = std::mem::take(&mut neighbor.halo);
            self.slab.border(side, &mut halo);
            self.traffic.messages += 1;
            self.traffic.bytes += halo.bytes();
            neighbor.send(Parcel::Halo(halo))?;
        }
        self.left.halo = self.left.halo().await?;
        self.right.halo = self.right.halo().await?;
        self.slab.surround(&self.left.halo, &self.right.halo);
        Ok(())
    }

    fn part(&self, take: Take) -> Part {
        let neighbors = take.neighbors.then(|| {
            let mut bins = Bins::new(Radial::BINS, self.slab.range());
            self.slab.count_neighbors(&mut bins);
            bins.counts
        });
        Part {
            layers: self.slab.energies(),
            particles: take.particles.then(|| self.slab.particles().clone()),
            neighbors,
            traffic: self.traffic,
        }
    }
}

/// The connection to a neighbor, and the memory that waits to be sent there again.
struct Neighbor {
    to: SendPort<Parcel>,
    from: ReceivePort<Parcel>,
    leaving: Particles,
    halo: Halo,
}

impl Neighbor {
    fn new(to: SendPort<Parcel>, from: ReceivePort<Parcel>) -> Self {
        Self {
            to,
            from,
            leaving: Particles::default(),
            halo: Halo::default(),
        }
    }

    fn send(&self, parcel: Parcel) -> Result<(), Stopped> {
        self.to.send(parcel).map_err(|_| Stopped::Alone)
    }

    async fn particles(&mut self) -> Result<Particles, Stopped> {
        match self.from.recv().await {
            Some(Parcel::Particles(particles)) => Ok(particles),
            // A halo here would be an error of this module.
            _ => Err(Stopped::Alone),
        }
    }

    async fn halo(&mut self) -> Result<Halo, Stopped> {
        match self.from.recv().await {
            Some(Parcel::Halo(halo)) => Ok(halo),
            _ => Err(Stopped::Alone),
        }
    }
}
