//! The cases for a contract whose methods take `&self`.

#![expect(
    clippy::duplicate_mod,
    reason = "each file of cases belongs to two contracts"
)]

use crate::contract::probe;
use crate::suite::{conform_all, conform_ordered};

probe!(self: &self);

#[path = "cases/cancelling.rs"]
mod cancelling;
#[path = "cases/deadlines.rs"]
mod deadlines;
#[path = "cases/flow.rs"]
mod flow;
#[path = "cases/nested.rs"]
mod nested;
#[path = "cases/streaming.rs"]
mod streaming;
#[path = "cases/threads.rs"]
mod threads;
#[path = "cases/unary.rs"]
mod unary;
#[path = "cases/unread.rs"]
mod unread;

conform_all! {
    unread {
        everywhere a_reader_may_call_the_same_service_between_items;
        everywhere unread_streams_take_no_place;
    }
}

conform_ordered! {
    unread {
        on_seeds a_stream_that_goes_on_comes_before_new_calls;
    }
}
