//! The behavior of isolates in the Dart VM and in Insula, case by case and rule by rule: written
//! down as data, and checked.
//!
//! - [`conformance`]: the cases that were recorded from a real VM, each with its required result,
//!   and the document that is generated from them.
//! - [`programs`]: random programs, and a naive model of what each must do.
#![forbid(unsafe_code)]
#![expect(
    dropping_copy_types,
    reason = "what a refused send gives back is let go of, whatever its type"
)]

pub mod conformance;
mod log;
pub mod programs;
mod run;
pub mod unsendable;

pub use log::Log;
pub use run::{On, trace_of};
