//! Two programs of science on isolates: a fluid, simulated in domains that send each other messages
//! ([`fluid`]), and operations on matrices, computed by a pool ([`matrices`]).
//!
//! The kernels are plain functions of this library: they read no files and know no isolates.
#![forbid(unsafe_code)]

pub mod fluid;
pub mod matrices;
pub mod plot;
