//! Loom models of all wake-up and hand-over protocols, through all interleavings within the
//! preemption bound. `cargo xtask test` runs them; to run them alone:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-core --lib loom`

mod callback;
mod clock;
mod event_loop;
mod lane;
mod mailbox;
mod ports;
mod ring;
mod task;
