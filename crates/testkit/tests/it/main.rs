//! Every case of the list, on virtual time with several seeds, and on threads.

mod conformance;
mod document;
mod programs;
