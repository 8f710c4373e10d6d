//! Risk: an isolate grows too large for a process to hold a million of them.

use crate::memory::IsolateCore;

/// Checks the size of an isolate's one allocation: below it, an idle isolate with a port and a
/// small handler takes less than 350 bytes of resident memory.
#[test]
fn an_isolate_is_small() {
    assert!(
        size_of::<IsolateCore>() <= 296,
        "{}",
        size_of::<IsolateCore>()
    );
}
