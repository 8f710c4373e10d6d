//! The waits of one slot, step by step.
