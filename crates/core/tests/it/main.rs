//! The engine from outside: what a user can see of isolates, on threads and on virtual time.

mod blocking;
mod callback;
mod child;
mod control;
mod detached;
mod extremes;
mod foreign;
mod hostile_ends;
mod inspect;
mod isolates;
mod kept;
mod mailbox;
mod ordering;
mod origins;
mod ports;
mod readiness;
mod replies;
mod root;
mod shutdown;
mod thread_end;
mod threads;
mod timers;
mod trace;
mod virtual_native;
mod watchdog;

/// Seeds for tests on the seeded runtime: each is another order of events.
const SEEDS: std::ops::Range<u64> = 0..if cfg!(miri) { 2 } else { 24 };

/// So many of what a long test needs many of; Miri interprets fewer.
const MANY: u64 = if cfg!(miri) { 30 } else { 3000 };
