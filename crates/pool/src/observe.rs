//! Watching a pool: the events of its workers, their time on the CPU, and reports.

pub(crate) mod cpu;
pub(crate) mod events;
pub(crate) mod hub;
pub(crate) mod outbox;
pub(crate) mod report;
pub(crate) mod reporter;
