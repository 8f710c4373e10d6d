//! The façade as a user's program sees it: the macros, isolates beside another runtime, an example.

mod examples;
mod macros;
mod other_runtimes;
