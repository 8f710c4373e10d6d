//! Risk: an isolate grows beyond what a million of them may cost.

use crate::memory::IsolateCore;

/// One allocation of at most this, so that an idle isolate with a port and a small handler
/// stays below 350 bytes of resident memory.
#[test]
fn an_isolate_is_small() {
    assert!(
        size_of::<IsolateCore>() <= 296,
        "{}",
        size_of::<IsolateCore>()
    );
}
