//! The suites: the cases, and the participants of each.

use std::path::Path;

use crate::case::{Case, Metric};
use crate::peers::runtimes::Runtimes;

mod ask;
mod control;
mod dart;
mod fairness;
mod frames;
mod idle;
pub(crate) mod instructions;
mod io;
mod mailbox;
mod microtasks;
mod native;
mod photos;
mod pool;
mod ports;
mod science;
mod spawn;
mod tables;
mod timers;

/// The package of this project, whose version its rows report.
const PACKAGE: &str = "insula";

/// The work that is done in a second of CPU time of all threads. Of two systems with the same
/// kernels, the one with the smaller number spends CPU time on other things than the work.
const EFFICIENCY: Metric = Metric::higher("CPU efficiency", "/CPU s");

/// A named list of cases.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) cases: fn(Option<&Path>, &Runtimes) -> Vec<Case>,
}

/// All suites, in the order in which `all` runs them.
pub(crate) const ALL: &[Suite] = &[
    ports::SUITE,
    ask::SUITE,
    spawn::SUITE,
    fairness::SUITE,
    pool::SUITE,
    idle::SUITE,
    io::SUITE,
    mailbox::SUITE,
    timers::SUITE,
    control::SUITE,
    microtasks::SUITE,
    frames::SUITE,
    native::SUITE,
    dart::SUITE,
    instructions::SUITE,
    photos::SUITE,
    science::SUITE,
    tables::SUITE,
];
