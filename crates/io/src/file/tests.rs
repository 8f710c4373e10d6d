//! Risk: a flush succeeds after an earlier one has lost data.

use std::fs;
use std::os::fd::OwnedFd;

use super::OpenFile;

#[test]
fn a_flush_that_failed_once_fails_for_good() {
    // A pipe cannot be flushed.
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    let mut open = OpenFile {
        file: OwnedFd::from(writer).into(),
        flush_error: None,
    };
    let first = open.flush().expect_err("a pipe has no device");
    // As if the device had recovered: what was lost before is still lost.
    open.file = tempfile::tempfile().expect("a file");
    let second = open.flush().expect_err("it was lost");
    assert_eq!(first.raw_os_error(), second.raw_os_error());
    assert!(first.raw_os_error().is_some());
}

#[test]
fn a_file_of_the_system_can_be_flushed() {
    let file: fs::File = tempfile::tempfile().expect("a file");
    let mut open = OpenFile {
        file,
        flush_error: None,
    };
    assert!(open.flush().is_ok());
    assert!(open.flush().is_ok());
}
