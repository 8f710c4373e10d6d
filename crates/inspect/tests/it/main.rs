//! An inspector from outside, beside a real program.

mod dumps;
#[cfg(feature = "otel")]
mod otlp;
mod pools;
#[cfg(feature = "otel")]
mod traces;
