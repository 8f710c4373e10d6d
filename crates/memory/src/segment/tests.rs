//! Risk: bytes are lost or change under a reader, or memory stays when its last owner is gone.

use std::thread;

use super::{HugePages, Segment, SegmentError, SegmentMut, SegmentPool};

pub(super) const MIB: usize = 1 << 20;

/// Of a length that divides no page, so that no two pages are equal.
fn pattern() -> Vec<u8> {
    (0..251).collect()
}

pub(super) fn filled(pool: SegmentPool, len: usize) -> Segment {
    let mut segment = pool.allocate(len).unwrap();
    assert_eq!(segment.len(), len);
    assert!(segment.chunks(251).all(|it| *it == vec![0; it.len()]));
    for chunk in segment.chunks_mut(251) {
        chunk.copy_from_slice(&pattern()[..chunk.len()]);
    }
    segment.freeze().unwrap()
}

pub(super) fn is_filled(bytes: &[u8]) -> bool {
    let pattern = pattern();
    bytes.chunks(251).all(|it| *it == pattern[..it.len()])
}

#[test]
fn bytes_stay_what_they_are_for_all_owners() {
    for huge_pages in [HugePages::Automatic, HugePages::Advised] {
        let pool = SegmentPool::new(MIB).huge_pages(huge_pages);
        for len in [0, 1, MIB - 1, MIB, MIB + 1, 8 * MIB] {
            let segment = filled(pool, len);
            let clone = segment.clone();
            drop(segment);
            let there = thread::spawn(move || is_filled(&clone) && clone.len() == len);
            assert!(there.join().unwrap());
        }
    }
}

#[test]
fn a_clone_has_the_same_memory() {
    for len in [10, 2 * MIB] {
        let segment = filled(SegmentPool::new(MIB), len);
        assert_eq!(segment.clone().as_ptr(), segment.as_ptr());
    }
}

#[test]
fn the_threshold_is_the_first_length_that_is_mapped() {
    let is_mapped = |threshold, len| {
        let segment = SegmentPool::new(threshold).allocate(len).unwrap();
        format!("{segment:?}").contains("is_mapped: true")
    };
    assert!(!is_mapped(MIB, MIB - 1));
    assert!(is_mapped(MIB, MIB));
    assert!(is_mapped(0, 1));
    assert!(!is_mapped(0, 0));
    assert!(!is_mapped(usize::MAX, MIB));
}

#[test]
fn more_than_there_is_is_an_error() {
    for len in [usize::MAX, isize::MAX.unsigned_abs(), usize::MAX / 4 * 3] {
        let mapped = SegmentPool::new(0).allocate(len);
        assert!(matches!(mapped, Err(SegmentError::Map(_))), "{mapped:?}");
        if len < usize::MAX {
            let on_heap = SegmentPool::new(usize::MAX).allocate(len);
            let is_refused = matches!(on_heap, Err(SegmentError::OutOfMemory { .. }));
            assert!(is_refused, "{on_heap:?}");
        }
    }
}

#[test]
fn segments_can_be_sent_and_shared() {
    fn is_free<T: Send + Sync + 'static>() {}
    is_free::<SegmentMut>();
    is_free::<Segment>();
}
