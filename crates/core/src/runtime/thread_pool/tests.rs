//! The numbers that decide when another thread is worth it.

use super::*;

#[test]
fn many_short_slices_and_few_long_ones_are_worth_another_thread() {
    // Just below and at the threshold, on both sides of the border between short and long slices.
    assert!(!is_backlog(499, 1_000) && is_backlog(500, 1_000));
    assert!(!is_backlog(50, 9_999) && is_backlog(51, 9_999));
    assert!(!is_backlog(19, 10_000) && is_backlog(20, 10_000));
    assert!(!is_backlog(0, u32::MAX) && is_backlog(1, u32::MAX));
    assert!(!is_backlog(1_000_000, 0), "nothing was measured yet");
}
