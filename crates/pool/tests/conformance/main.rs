//! What every transport of calls has to do alike.
//!
//! A case is a function over a [`seam::Transport`]. The lists in [`shared`] and [`exclusive`]
//! make one test of each case for each transport: a port of one isolate ([`insula_rpc::serve`]), a
//! pool of one worker, a pool of three workers that run two calls at once, the first and the
//! last of them behind a wire ([`insula_rpc::wire::loopback`]), and the first one behind a pool whose
//! worker passes its calls on over a link (`insula-link`). The model is the list of gRPC's
//! interoperability tests; the doc comment of a case names its counterpart.
//!
//! # Two contracts
//! The contract of the tests exists twice, with `&self` and with `&mut self`. Most cases hold for
//! both, so their files are modules of `shared` and of `exclusive`, where `super` is one contract or
//! the other.
//!
//! # Time and order
//! A case runs on a runtime with threads and on several seeded ones, each with another order of
//! events. No case sleeps to give something else time: where a call has to be at a certain point,
//! its handler notes that it is there and waits at a gate that the case opens. Cases that are about
//! time run on the virtual clock of seeded runtimes only.

mod contract;
mod exclusive;
mod harness;
mod run;
mod script;
mod seam;
mod shared;
mod stage;
mod suite;
mod transport;
