//! Risk: a call that is denied has another number, by which it is allowed.

use super::*;

/// By the tables of the kernel (`arch/x86/entry/syscalls/syscall_64.tbl`).
#[test]
fn each_number_of_a_call_is_refused() {
    let nothing = Denied::NOTHING;
    let programs = Denied {
        programs: true,
        ..nothing
    };
    let refused = rules(programs).unwrap();
    for number in [59, 322, 520, 545] {
        assert!(refused.contains_key(&number), "{number}");
        assert!(refused.contains_key(&(number | X32)), "{number}");
    }
    let system = Denied {
        system: true,
        ..nothing
    };
    let refused = rules(system).unwrap();
    assert_eq!(refused[&libc::SYS_clone].len(), NAMESPACES.len());
    for number in [101, 521, 310, 539, 165, 425, 426, 427] {
        assert!(refused.contains_key(&number), "{number}");
        assert!(refused.contains_key(&(number | X32)), "{number}");
    }
    assert!(!refused.contains_key(&59));
}
