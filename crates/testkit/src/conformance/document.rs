//! The document.
/// Text.
pub fn document() -> String { String::new() }
