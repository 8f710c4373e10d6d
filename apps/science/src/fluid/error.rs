//! The errors of a simulation.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason why a simulation cannot start or go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SimulationError {
    /// The box is too small for the cut-off: a particle would meet its own image.
    BoxTooSmall {
        /// The cells along each edge.
        cells: usize,
    },
    /// There are more domains than the box has room for.
    TooManyDomains {
        /// The number that was asked for.
        domains: usize,
        /// The largest number.
        most: usize,
    },
    /// A number of the request makes no sense.
    Invalid {
        /// The name of the field.
        field: Cow<'static, str>,
    },
    /// A particle has moved further than the width of a cell in one step.
    Unstable {
        /// The particle's number.
        particle: u32,
    },
    /// A domain has ended.
    DomainEnded {
        /// The message of its panic, or the reason of its end.
        reason: String,
    },
}

impl fmt::Display for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BoxTooSmall { cells } => write!(
                f,
                "the box is too small: its edge has {cells} cells of half a cut-off, and needs {}; \
                 use more particles, a lower density or a shorter cut-off",
                crate::fluid::Grid::LEAST_CELLS
            ),
            Self::TooManyDomains { domains, most } => write!(
                f,
                "the box has room for {most} domains, not for {domains}: use fewer workers or more \
                 particles"
            ),
            Self::Invalid { field } => write!(f, "the {field} makes no sense"),
            Self::Unstable { particle } => write!(
                f,
                "particle {particle} moves too fast: use a shorter time step, or begin at a lower \
                 density or temperature"
            ),
            Self::DomainEnded { reason } => write!(f, "a domain has ended: {reason}"),
        }
    }
}

impl Error for SimulationError {}
