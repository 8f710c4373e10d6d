//! Risk: a number that the other process makes up ends this one.

use super::*;

/// The parent may call a call what it likes; the sum with it overflowed.
#[test]
fn a_call_of_any_number_leaves_its_sign() {
    let (region, _file) = Region::create().unwrap();
    for call in [0, 1, SIGNS as u64, u64::MAX - 1] {
        assert!(!region.has_begun(call));
        region.mark_begun(call);
        assert!(region.has_begun(call));
    }
    region.mark_begun(u64::MAX);
    assert!(
        !region.has_begun(SIGNS as u64 - 1),
        "it is no sign of another call"
    );
}
