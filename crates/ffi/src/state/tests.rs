//! Risk: a shutdown waits for a callback that it has not seen.

use super::{ErrorHook, Status, set_error_hook};
use crate::custody::Custody;
use crate::raw::User;

extern "C" fn ignore(
    _: *mut std::ffi::c_void,
    _: *const std::ffi::c_char,
    _: *const std::ffi::c_char,
) {
}

/// The exported function checks the phase before, but the phase may have changed since. No test of
/// this program starts the runtime.
#[test]
fn an_error_hook_looks_at_the_phase_itself() {
    let custody = Custody::default();
    let user = User::new(std::ptr::null_mut(), None, &custody);
    let hook = ErrorHook::new(Some(ignore), user);
    assert!(matches!(set_error_hook(hook), Err(Status::NotStarted)));
}
