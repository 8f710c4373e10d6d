//! Every wake-up and hand-over protocol, through all interleavings that loom finds within its
//! preemption bound. Run by `cargo xtask test`; alone:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-core --lib loom`

mod callback;
mod event_loop;
mod lane;
mod mailbox;
mod ports;
mod ring;
