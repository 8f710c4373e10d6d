//! The exit status of a program.

use std::process::ExitCode;

/// The exit statuses of [`Outcome`], as the last paragraph of `--help`.
pub const EXIT_STATUS: &str = "Exit status: 0 all done, 1 some of it failed, 2 wrong usage or nothing to do, 130 interrupted.";

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that was asked for is done.
    Done,
    /// Some inputs failed, and the others are done.
    SomeFailed,
    /// There was nothing to do, or nothing could be done.
    NothingToDo,
    /// The user has ended the run.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::SomeFailed => Self::from(1),
            Outcome::NothingToDo => Self::from(2),
            // 128 + SIGINT, as shells report it.
            Outcome::Interrupted => Self::from(130),
        }
    }
}
