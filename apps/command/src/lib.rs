//! What the command line programs of this folder share: workers of all kinds and their options, those
//! for the inspector, the exit status, progress, requests to stop, files that are written whole or not at
//! all, paths that go to other processes, and the table at the end.
#![forbid(unsafe_code)]

mod file;
mod inspect;
mod outcome;
pub mod portable;
mod progress;
mod stop;
mod table;
mod workers;

pub use file::{OutputFile, write_atomically};
pub use inspect::{InspectOptions, InspectRunOptions, Inspected};
pub use outcome::{EXIT_STATUS, Outcome};
pub use progress::Progress;
pub use stop::Stop;
pub use table::{Table, bytes, speed_up};
pub use workers::{
    Kind, KindOptions, Machines, NodeOptions, Offered, Services, StartError, Started,
    WorkerOptions, repeats,
};
