//! The checked-in header matches the sources.

mod header;
