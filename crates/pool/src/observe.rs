//! Watching a pool: the events of its workers and their time on the CPU, the calls that it discards,
//! traces of its calls, and reports. And a profiler for other operations.

pub(crate) mod cpu;
pub(crate) mod discards;
pub(crate) mod events;
pub(crate) mod hub;
pub(crate) mod outbox;
pub(crate) mod profiler;
pub(crate) mod report;
pub(crate) mod reporter;
pub(crate) mod trace;
