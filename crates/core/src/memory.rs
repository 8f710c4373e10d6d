//! The memory of isolates: the isolate itself, its lane, the records in it, and tables.

mod core;
pub(crate) mod lane;
pub(crate) mod record;
pub(crate) mod slab;
pub(crate) mod waiters;

pub(crate) use self::core::{Current, Details, IsolateCore, IsolateRef, Runnable};
