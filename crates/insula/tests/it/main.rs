//! The façade as a user's program sees it: the macros, and isolates beside another runtime.

mod macros;
mod other_runtimes;
