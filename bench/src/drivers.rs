//! Each workload once, over traits that the peers implement.

pub(crate) mod actor;
pub(crate) mod async_channel;
pub(crate) mod echo;
pub(crate) mod executor;
pub(crate) mod files;
pub(crate) mod frames;
pub(crate) mod pool;
pub(crate) mod rendezvous;
pub(crate) mod thread_channel;
pub(crate) mod timers;
