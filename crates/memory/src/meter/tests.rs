//! Risk: zeros are shown for what is not known. The program of these tests does not count.

use crate::{MemoryMeter, thread_counts};

#[test]
fn without_a_counting_allocator_nothing_is_known() {
    let meter = MemoryMeter::new();
    meter.begin();
    drop(std::hint::black_box(vec![0_u8; 1_000]));
    meter.end();
    assert_eq!(thread_counts(), None);
    assert_eq!(
        (meter.counts(), meter.held(), meter.peak()),
        (None, None, None)
    );
}
