//! Contracts that compile.

mod attributes;
mod borrowing;
mod calls;
mod conditions;
mod exclusive;
mod names;
mod payload;
mod places;
mod signatures;
