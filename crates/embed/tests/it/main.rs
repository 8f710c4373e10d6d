//! The embedding from outside, mostly on virtual time: a loop that is driven by hand.

mod ending;
mod examples;
mod merging;
mod support;
mod tasks;
mod ui;
