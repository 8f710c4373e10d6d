//! Risk: a share is taken of nothing, or of more than there is.

use std::num::NonZeroUsize;

use super::{Budget, BudgetError, share_of};

#[test]
fn a_share_is_from_0_to_1() {
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = Budget::fraction(share);
        assert!(matches!(refused, Err(BudgetError::Share(_))), "{share}");
    }
    assert_eq!(share_of(1_000, 0.0), 0);
    assert_eq!(share_of(1_000, 0.7), 700);
    assert_eq!(share_of(1_000, 1.0), 1_000);
    // Rounded up to a power of two as a `f64`.
    assert_eq!(share_of(u64::MAX - 1, 1.0), u64::MAX - 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_share_of_this_machine_is_known() {
    let half = Budget::fraction(0.5).unwrap().limit();
    assert!(half > 0);
    // What is available changes meanwhile.
    assert!(Budget::fraction(1.0).unwrap().limit() > half);
    assert_eq!(Budget::fraction(0.0).unwrap(), Budget::bytes(0));
}

#[test]
#[cfg(not(target_os = "linux"))]
fn a_share_of_this_machine_is_refused() {
    assert!(matches!(
        Budget::fraction(0.5),
        Err(BudgetError::Unsupported)
    ));
}

#[test]
fn workers_get_equal_parts() {
    let of = |workers| Budget::bytes(1_000).per_worker(NonZeroUsize::new(workers).unwrap());
    assert_eq!(of(1), Budget::bytes(1_000));
    assert_eq!(of(3), Budget::bytes(333));
    assert_eq!(of(1_001), Budget::bytes(0));
    assert_eq!(of(usize::MAX), Budget::bytes(0));
}

#[test]
fn an_error_says_what_to_do() {
    let error = BudgetError::Unknown {
        path: "/proc/meminfo".into(),
        wanted: "`MemAvailable`",
    };
    assert_eq!(
        error.to_string(),
        "/proc/meminfo has no `MemAvailable`; name a number of bytes with `Budget::bytes`"
    );
}
