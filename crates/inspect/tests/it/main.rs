//! An inspector from outside, beside a real program.

mod dumps;
#[cfg(feature = "otel")]
mod otlp;
mod pools;
