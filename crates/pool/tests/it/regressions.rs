//! Faults that were seen once, each with the smallest program that showed it, and what is around
//! it. The numbers are those of the list in which they were reported.

mod books;
mod drops;
mod room;
mod shutdowns;
mod trial;
