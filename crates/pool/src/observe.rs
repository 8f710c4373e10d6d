//! Watching a pool: the events of its workers, and their time on the CPU.

pub(crate) mod cpu;
pub(crate) mod events;
pub(crate) mod hub;
pub(crate) mod outbox;
