//! Tests whose failure would end the whole process, or hang it: each runs in a child process of
//! its own, so that an abort is a failure with a name.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any such test takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Says to a child process that it is one.
const CHILD: &str = "INSULA_TEST_CHILD";

/// Runs `body`, which is all that a test does, in a child process: this test binary again, told
/// to run the same test only. The child fails if it panics, aborts, or does not end.
pub(crate) fn in_child<F: FnOnce()>(body: F) {
    in_child_of(Command::new, body);
}

/// As [`in_child`], with so many KiB of address space.
#[cfg(target_os = "linux")]
pub(crate) fn in_child_with_memory<F: FnOnce()>(kib: u32, body: F) {
    let limited = |program| {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(program);
        shell
    };
    in_child_of(limited, body);
}

fn in_child_of<F: FnOnce()>(command: impl FnOnce(PathBuf) -> Command, body: F) {
    // Miri starts no processes; an abort ends it, which is no less visible.
    if cfg!(miri) || std::env::var_os(CHILD).is_some() {
        return body();
    }
    // The closure's path is that of the test, behind the crate's name.
    let path = std::any::type_name::<F>();
    let test = path.split_once("::").map_or(path, |parts| parts.1);
    let test = test.strip_suffix("::{{closure}}").unwrap_or(test);
    let mut child = command(std::env::current_exe().expect("the test binary has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test binary can be run again");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut stderr = child.stderr.take().expect("it is piped");
    let read_errors = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let read_output = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        text
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            break Some(status);
        }
        if start.elapsed() > WATCHDOG {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let output = read_output.join().expect("the reader does not panic");
    let errors = read_errors.join().expect("the reader does not panic");
    match status {
        None => panic!("the child did not end\n{output}\n{errors}"),
        Some(status) => {
            assert!(status.success(), "the child: {status}\n{output}\n{errors}");
            let ran = output.contains("1 passed");
            assert!(ran, "the child did not run {test}\n{output}");
        }
    }
}
