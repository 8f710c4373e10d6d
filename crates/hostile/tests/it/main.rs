//! The tests of the generator of hostile programs.

mod programs;
