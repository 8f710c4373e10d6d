//! What a pool's monitoring shows, on virtual time.

mod cpu;
mod events;
mod methods;
mod profiler;
mod report;

/// Runs `run` in an isolate on virtual time.
fn seeded<R, F>(run: fn() -> F) -> R
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    crate::desk::seeded(1, run)
}
