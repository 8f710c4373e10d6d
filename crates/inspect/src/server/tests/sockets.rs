//! The risk: a socket with a path outlives its server, takes the place of something else, or keeps
//! the program from ending.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use insula_core::Runtime;

use crate::{Inspector, Listen};

fn start(runtime: &Runtime, path: &Path) -> std::io::Result<Inspector> {
    let listen = Listen::Unix(path.to_owned());
    let builder = Inspector::builder().runtime(runtime).listen(listen);
    builder.announce(false).start()
}

/// Drops an inspector, which must not take long.
fn end(inspector: Inspector) {
    let (ended, has_ended) = mpsc::channel();
    thread::spawn(move || {
        drop(inspector);
        ended.send(()).expect("the test waits");
    });
    let ended = has_ended.recv_timeout(Duration::from_secs(10));
    ended.expect("the end does not hang");
}

#[test]
fn a_socket_is_only_for_its_user_and_gone_after_the_end() {
    let runtime = Runtime::builder().threads(1).build();
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("socket");
    let inspector = start(&runtime, &path).expect("it listens");
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // A session does not keep it.
    let stream = UnixStream::connect(&path).expect("it listens");
    end(inspector);
    assert!(!path.exists());
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
    drop(stream);
    runtime.shut_down();
}

#[test]
fn the_end_does_not_depend_on_the_path() {
    let runtime = Runtime::builder().threads(1).build();
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("socket");
    let inspector = start(&runtime, &path).expect("it listens");
    fs::remove_file(&path).expect("it is there");
    end(inspector);
    let inspector = start(&runtime, &path).expect("it listens");
    fs::remove_file(&path).expect("it is there");
    // What has taken its place is not removed.
    fs::write(&path, "mine").expect("it can be written");
    end(inspector);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "mine");
    runtime.shut_down();
}

#[test]
fn a_socket_that_a_dead_program_has_left_is_replaced_and_nothing_else_is() {
    let runtime = Runtime::builder().threads(1).build();
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).expect("it is free"));
    assert!(path.exists(), "nothing removes it");
    end(start(&runtime, &path).expect("nobody listens there"));
    let other = UnixListener::bind(&path).expect("it is free");
    let refused = start(&runtime, &path).expect_err("another one listens there");
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{refused}");
    drop(other);
    fs::remove_file(&path).expect("it is there");
    fs::write(&path, "mine").expect("it can be written");
    let refused = start(&runtime, &path).expect_err("a file is there");
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{refused}");
    runtime.shut_down();
}

#[test]
fn a_path_that_is_too_long_is_refused_with_its_name() {
    let runtime = Runtime::builder().threads(1).build();
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("s".repeat(120));
    let refused = start(&runtime, &path).expect_err("it is too long");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    assert!(refused.to_string().contains("ssss"), "{refused}");
    runtime.shut_down();
}
