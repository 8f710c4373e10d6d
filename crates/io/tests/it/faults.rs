//! The risk: a device that is full, a limit that is reached, and errors that are forgotten.
#![cfg(target_os = "linux")]

use std::io::ErrorKind;

use insula_core::block_on;
use insula_io::{File, OpenMode};

#[test]
fn a_full_device_is_an_error_with_the_bytes_that_came_before() {
    block_on(async {
        let full = File::open("/dev/full", OpenMode::Update).await.unwrap();
        let (result, buffer) = full.write_all(vec![1; 100]).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(
            error.os_error().map(insula_io::OsError::transferred),
            Some(0)
        );
        assert_eq!(buffer.len(), 100);
        // Other requests are served as ever.
        assert!(File::exists("/dev").await.is_ok());
    });
}
