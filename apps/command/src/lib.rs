//! What the command line programs of this folder share: the options for workers, the exit status,
//! progress, requests to stop, files that are written whole or not at all, paths that go to other
//! processes, and the table at the end.
#![forbid(unsafe_code)]

mod file;
mod outcome;
pub mod portable;
mod progress;
mod stop;
mod table;
mod workers;

pub use file::{OutputFile, write_atomically};
pub use outcome::{EXIT_STATUS, Outcome};
pub use progress::Progress;
pub use stop::Stop;
pub use table::{Table, bytes, speed_up};
pub use workers::{Kind, WorkerOptions, repeats};
