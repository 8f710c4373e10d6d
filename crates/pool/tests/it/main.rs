//! Worker pools, seen from outside, on the real runtime. Where a test needs a call to be at a
//! certain point, the handler waits at a gate that the test opens.

mod admission;
mod balance;
mod cancellation;
mod deadlocks;
mod desk;
mod discards;
mod health;
mod hybrid;
mod inspect;
mod observe;
mod panics;
mod queue;
mod recycling;
mod regressions;
mod resizing;
mod restarts;
mod seeded;
mod service;
mod shutdown;
mod startup;
mod stats;
