//! The risk: operations that block, and hold up what has nothing to do with them.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use insula_core::{ExitReason, Isolate, Runtime, block_on, sleep};
use insula_io::{File, IoService, OpenMode, request};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::folder;

/// Creates named pipes, whose opening blocks until the other end is opened.
fn pipes(folder: &Path, count: usize) -> Vec<PathBuf> {
    let path = |n| folder.join(format!("pipe-{n}"));
    let paths: Vec<_> = (0..count).map(path).collect();
    for path in &paths {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
    }
    paths
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::yield_now();
    }
}

/// Case 82 of the Dart VM's recorded behavior, with a width of one's choice.
fn blocked_opens(width: usize, count: usize) {
    let folder = folder();
    let service = IoService::new(width);
    let paths = pipes(folder.path(), count);
    let openings: Vec<_> = paths
        .iter()
        .map(|path| {
            service.request(request::FileOpen {
                path: path.clone(),
                mode: OpenMode::Read,
            })
        })
        .collect();
    let is_full = count >= width;
    until("as many as may are blocked", || {
        service.running() == count.min(width)
    });
    assert_eq!(service.waiting(), count.saturating_sub(width));
    let exists = service.request(request::FileExists {
        path: folder.path().join("pipe-0"),
    });
    everything_else_goes_on(folder.path());
    if is_full {
        assert_eq!(service.waiting(), count - width + 1);
    }
    // Opened for both, a pipe does not block, and lets the others in.
    let mut ends = Vec::new();
    for path in &paths {
        let both = fs::OpenOptions::new().read(true).write(true).open(path);
        ends.push(both.expect("the other end"));
    }
    assert_eq!(block_on(exists).ok(), Some(false));
    for opening in openings {
        assert!(block_on(opening).is_ok());
    }
    // An answer is sent from inside its operation, which ends after that.
    until("all operations ended", || {
        (service.waiting(), service.running()) == (0, 0)
    });
}

/// Isolates run, timers fire, and another service does files.
fn everything_else_goes_on(folder: &Path) {
    let path = folder.join("other");
    let others = Isolate::run_async(async move || {
        for _ in 0..5 {
            sleep(Duration::from_millis(1)).await;
            Isolate::run(|| ()).await.unwrap();
        }
        File::write_whole(&path, vec![1]).await.unwrap();
    });
    assert!(others.wait().is_ok());
}

#[test]
fn with_room_left_others_work() {
    blocked_opens(32, 31);
}

#[test]
fn as_many_as_the_service_is_wide_make_others_wait() {
    blocked_opens(32, 32);
}

#[test]
fn more_wait_and_are_counted() {
    blocked_opens(32, 40);
}

#[test]
fn a_wider_service_has_room_for_them() {
    blocked_opens(64, 40);
}

/// Other isolates wait for the thread, and so it looks as if nothing could end the wait.
#[test]
fn an_operation_that_blocks_the_last_thread_is_waited_for() {
    let folder = folder();
    let path = pipes(folder.path(), 1).remove(0);
    let runtime = Runtime::builder().threads(1).spare_threads(0).build();
    let service = IoService::new(1);
    let opens = {
        let (service, path) = (service.clone(), path.clone());
        let open = move |()| {
            let mode = OpenMode::Read;
            assert!(block_on(service.request(request::FileOpen { path, mode })).is_ok());
        };
        Isolate::builder().runtime(&runtime).spawn(open, ())
    };
    until("the opening blocks", || service.running() == 1);
    let other = Isolate::builder().runtime(&runtime).spawn(|()| (), ());
    // It takes longer than the second after which a wait for other isolates is refused.
    std::thread::sleep(Duration::from_millis(1200));
    let both = fs::OpenOptions::new().read(true).write(true).open(&path);
    assert!(both.is_ok());
    assert_eq!(block_on(opens.exited()), ExitReason::Finished);
    assert_eq!(block_on(other.exited()), ExitReason::Finished);
    runtime.shut_down();
}
