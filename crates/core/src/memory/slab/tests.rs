//! Risk: a stale key reaches the value that another insertion put in its place.

use super::*;

#[test]
fn a_key_reaches_nothing_once_its_value_was_taken() {
    let mut slab = Slab::default();
    let removed = slab.insert(1);
    assert_eq!(slab.remove(removed), Some(1));
    let taken = slab.insert(2);
    assert_eq!(slab.take_all(), [2]);
    let kept = slab.insert(3);
    for stale in [removed, taken] {
        assert_eq!(slab.get_mut(stale), None);
        assert_eq!(slab.remove(stale), None);
    }
    assert_eq!((slab.len(), slab.remove(kept)), (1, Some(3)));
    assert!(slab.is_empty());
}
