//! The cases for a contract whose methods take `&mut self`.

#![expect(
    clippy::duplicate_mod,
    reason = "each file of cases belongs to two contracts"
)]

use crate::contract::probe;
use crate::suite::{conform_all, conform_ordered};

probe!(self: &mut self);

#[path = "cases/cancelling.rs"]
mod cancelling;
#[path = "cases/deadlines.rs"]
mod deadlines;
#[path = "cases/flow.rs"]
mod flow;
#[path = "cases/kept.rs"]
mod kept;
#[path = "cases/nested.rs"]
mod nested;
#[path = "cases/streaming.rs"]
mod streaming;
#[path = "cases/threads.rs"]
mod threads;
#[path = "cases/unary.rs"]
mod unary;

conform_all! {}

conform_ordered! {
    kept {
        everywhere a_stream_keeps_its_service_to_itself;
    }
}
