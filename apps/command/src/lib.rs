//! What the command line programs of this folder share: the options for workers, the exit status,
//! progress, requests to stop, and files that are written whole or not at all.
#![forbid(unsafe_code)]

mod file;
mod outcome;
mod progress;
mod stop;
mod workers;

pub use file::{OutputFile, write_atomically};
pub use outcome::{EXIT_STATUS, Outcome};
pub use progress::Progress;
pub use stop::Stop;
pub use workers::{Kind, WorkerOptions};
