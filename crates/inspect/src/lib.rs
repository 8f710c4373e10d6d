//! The inspector of Insula: what isolates and pools do, as plain data.
#![forbid(unsafe_code)]

pub mod announce;
#[cfg(feature = "client")]
pub mod client;
pub mod model;
