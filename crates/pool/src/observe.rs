//! Watching a pool: the events of its workers.

pub(crate) mod events;
pub(crate) mod hub;
pub(crate) mod outbox;
