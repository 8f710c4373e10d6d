//! Typed calls, seen from outside. The calls of most tests go to a [`desk::Desk`], which keeps
//! them until the test says what becomes of them; so every race is played in a chosen order.

mod cancellation;
mod deadlines;
mod desk;
mod map;
mod outcomes;
mod probe;
mod retry;
mod scoped;
mod serving;
mod spans;
mod spikes;
mod streams;
mod traffic;
mod wire;
