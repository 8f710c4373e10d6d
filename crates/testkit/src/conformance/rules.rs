//! Rules.
/// A rule.
#[derive(Debug)]
pub struct Rule;
/// All.
pub const RULES: &[Rule] = &[];
