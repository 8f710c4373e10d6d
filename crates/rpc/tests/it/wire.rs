//! Risk: a call that crosses a wire fails in another way than its error says, or never ends. What a
//! call must do over any transport is in the conformance suite of `insula-pool`.

mod contract;
mod exact;
mod faults;
mod kept;
mod peers;
mod schema;
