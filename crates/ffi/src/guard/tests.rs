//! Risk: something other than a number crosses the border.

use super::{LAST_ERROR, guard_always};
use crate::abi::status::{Failure, INSULA_ERROR_FULL, INSULA_ERROR_INTERNAL, Status};

fn last_text() -> String {
    LAST_ERROR.with_borrow(|text| text.to_str().unwrap().to_owned())
}

#[test]
fn a_panic_becomes_a_status_with_its_text() {
    insula::control::catch_panic(|| {
        let status = guard_always(|| panic!("of our own"));
        assert_eq!(status, INSULA_ERROR_INTERNAL);
    })
    .unwrap();
    assert_eq!(last_text(), "panicked: of our own");
}

#[test]
fn a_payload_that_panics_in_its_destructor_is_contained() {
    struct Twice;
    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    insula::control::catch_panic(|| {
        let status = guard_always(|| std::panic::panic_any(Twice));
        assert_eq!(status, INSULA_ERROR_INTERNAL);
    })
    .unwrap();
}

#[test]
fn each_thread_has_its_own_last_error() {
    let text = "no room\0 here";
    let status = guard_always(|| Err(Failure::new(Status::Full, text)));
    assert_eq!(status, INSULA_ERROR_FULL);
    assert_eq!(last_text(), "no room  here");
    std::thread::spawn(|| assert_eq!(last_text(), ""))
        .join()
        .unwrap();
}
