//! The risk: a device that is full, a limit that is reached, and errors that are forgotten.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream as Client};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use insula_core::{Isolate, block_on};
use insula_io::{File, OpenMode, TcpListener};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Tells a test that it is in a process of its own.
const CHILD: &str = "INSULA_IO_FAULT";

/// Runs a test again in a process of its own, whose limits affect no other test. Returns `true` in
/// that process.
fn in_own_process(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--test-threads=1"])
        .env(CHILD, "1")
        .status();
    assert!(status.unwrap().success(), "{test} in its own process");
    false
}

/// A lack of descriptors, for as long as it lives.
struct Lack {
    before: Rlimit,
    /// The files that take them all.
    _fillers: Vec<std::fs::File>,
}

impl Lack {
    /// Leaves this process room for `more` descriptors.
    fn all_but(more: usize) -> Self {
        let before = getrlimit(Resource::Nofile);
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let limit = Rlimit {
            current: Some((open + 64) as u64),
            ..before
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        let open = || std::fs::File::open("/dev/null").ok();
        let mut fillers: Vec<_> = std::iter::from_fn(open).collect();
        fillers.truncate(fillers.len() - more);
        Self {
            before,
            _fillers: fillers,
        }
    }
}

impl Drop for Lack {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

/// The number of times that `accept` succeeded and failed.
type Counts = Arc<[AtomicUsize; 2]>;

/// An isolate that accepts for ever.
fn acceptor(listener: TcpListener) -> (Isolate, Counts) {
    let counts = Counts::default();
    let counted = counts.clone();
    let entry = async move |listener| accept(listener, &counted).await;
    (Isolate::spawn(entry, listener), counts)
}

async fn accept(listener: TcpListener, counts: &[AtomicUsize; 2]) {
    let mut connections = Vec::new();
    loop {
        match listener.accept().await {
            Ok(connection) => {
                connections.push(connection);
                counts[0].fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                assert_eq!(error.code(), Some(Errno::MFILE.raw_os_error()));
                counts[1].fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn listen(clients: usize) -> (TcpListener, Vec<Client>) {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_address().unwrap();
    let connect = |_| Client::connect(address).unwrap();
    (listener, (0..clients).map(connect).collect())
}

#[test]
fn without_descriptors_accept_tells_pauses_and_recovers() {
    if !in_own_process("faults::without_descriptors_accept_tells_pauses_and_recovers") {
        return;
    }
    for more in (0..=20).step_by(4) {
        let (listener, clients) = listen(24);
        let lack = Lack::all_but(more);
        let start = Instant::now();
        let (isolate, counts) = acceptor(listener);
        until("the lack is told three times", || {
            counts[1].load(Ordering::SeqCst) >= 3
        });
        // After the first error a pause of 5 ms, after the second one of 10 ms.
        assert!(start.elapsed() >= Duration::from_millis(15), "it spins");
        drop(lack);
        until("all are accepted", || {
            counts[0].load(Ordering::SeqCst) == clients.len()
        });
        isolate.kill();
        block_on(isolate.exited());
    }
}

#[test]
fn a_lack_that_lasts_is_told_to_who_waits() {
    if !in_own_process("faults::a_lack_that_lasts_is_told_to_who_waits") {
        return;
    }
    let (listener, mut clients) = listen(1);
    let lack = Lack::all_but(0);
    let (isolate, counts) = acceptor(listener);
    let client = &mut clients[0];
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // Closed by the server, which could not serve it.
    match client.read(&mut [0]) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(counts[0].load(Ordering::SeqCst), 0);
    drop(lack);
    isolate.kill();
}

#[test]
fn without_descriptors_files_fail_and_recover() {
    if !in_own_process("faults::without_descriptors_files_fail_and_recover") {
        return;
    }
    let folder = crate::folder();
    let path = folder.path().join("file");
    block_on(async {
        File::create(&path).await.unwrap();
        let kept = File::open(&path, OpenMode::Update).await.unwrap();
        let lack = Lack::all_but(0);
        let error = File::open(&path, OpenMode::Read).await.unwrap_err();
        assert_eq!(error.code(), Some(Errno::MFILE.raw_os_error()));
        // What needs no descriptor goes on.
        kept.write_all(vec![1; 10]).await.0.unwrap();
        assert_eq!(File::length_of(&path).await.unwrap(), 10);
        drop(lack);
        assert_eq!(File::read_all(&path).await.unwrap(), [1; 10]);
    });
}

#[test]
fn a_full_device_is_an_error_and_harms_no_other_request() {
    block_on(async {
        let full = File::open("/dev/full", OpenMode::Update).await.unwrap();
        let (result, buffer) = full.write_all(vec![1; 100]).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(error.os_error().unwrap().transferred(), 0);
        assert_eq!(buffer.len(), 100);
        assert!(File::exists("/dev").await.is_ok());
    });
}

/// A file system of 1 MiB, in a name space of its own. Where the system does not allow that to
/// every user there is nothing to test on.
fn on_small_disk(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(CHILD) {
        return Some(folder.into());
    }
    let folder = crate::folder();
    let mount = "mount -t tmpfs -o size=1m none \"$0\" || exit 77; exec \"$@\"";
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact"])
        .env(CHILD, folder.path())
        .status();
    let code = status.ok().and_then(|status| status.code());
    if !matches!(code, Some(0 | 1 | 77) | None) {
        panic!("{test} on a small disk: {code:?}");
    }
    None
}

#[test]
fn a_disk_that_fills_up_tells_how_far_it_got() {
    let test = "faults::a_disk_that_fills_up_tells_how_far_it_got";
    let Some(disk) = on_small_disk(test) else {
        return;
    };
    block_on(fill(&disk));
}

async fn fill(disk: &Path) {
    let path = disk.join("file");
    let file = File::open(&path, OpenMode::Write).await.unwrap();
    let (result, buffer) = file.write_all(vec![7; 3 << 20]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(buffer.len(), 3 << 20);
    // Exactly what is said to be written is in the file, and the file can be used again.
    let written = error.os_error().unwrap().transferred();
    assert!(written > 0 && written <= 1 << 20, "{written}");
    assert_eq!(file.length().await.unwrap(), written as u64);
    assert_eq!(file.position().await.unwrap(), written as u64);
    file.truncate(10).await.unwrap();
    file.set_position(10).await.unwrap();
    file.write_all(vec![8; 100]).await.0.unwrap();
    assert_eq!(file.length().await.unwrap(), 110);
}
