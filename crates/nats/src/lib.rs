//! Workers on other machines, over NATS.
#![forbid(unsafe_code)]

mod carrier;
mod course;
mod error;
mod message;
mod nats;
mod node;
mod plan;
mod serving;
mod session;
mod signals;
mod subjects;
mod worker;

pub use error::NatsError;
pub use nats::Nats;
pub use node::{Node, NodeBuilder};
