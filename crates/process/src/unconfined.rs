//! Without filters of system calls: there are none for processors of 32 bits.

use std::error::Error;

use crate::kind::Denied;

/// Does nothing, if nothing is denied.
///
/// # Errors
/// Something is denied.
pub(crate) fn confine(denied: Denied) -> Result<(), Box<dyn Error>> {
    match denied {
        Denied::NOTHING => Ok(()),
        _ => Err("filters of system calls need a processor of 64 bits".into()),
    }
}
