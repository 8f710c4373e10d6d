//! Whether the header is that of the sources.

mod header;
