//! `cargo xtask watch PROGRAM ARGUMENTS`: runs one test program, and ends it if it hangs.
//!
//! Cargo starts each test program through this command (its setting `target.….runner`). The output is
//! passed on as it arrives. When no test has ended for [`IDLE_LIMIT`] and the program does not
//! compute either, or when no test has ended for [`BUSY_LIMIT`], the program is killed and the
//! unfinished tests are named.
//!
//! Libtest does not report that a test has begun. It starts the tests in the order of `--list`, a
//! fixed number at once, and this command sets that number. So the tests that have begun are the
//! first of the list: as many as have ended, plus that number.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The time for which a program may neither end a test nor compute. A waiting test is never far
/// from its end; the longest computing test takes a minute on a loaded machine.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// The time for which a program may compute without ending a test.
const BUSY_LIMIT: Duration = Duration::from_secs(300);

/// A program that used less than this share of one core counts as idle.
const IDLE_SHARE: f64 = 0.05;

/// The variable from which libtest reads how many tests to run at once.
const JOBS: &str = "RUST_TEST_THREADS";

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs the program to its end. Returns whether it succeeded.
pub(crate) fn run(words: &[OsString]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        println!("`watch` needs a program to run");
        return false;
    };
    let jobs = jobs();
    let mut command = Command::new(program);
    // Only the output, on which libtest reports. What goes to standard error is passed on by
    // itself.
    command.args(arguments).stdout(Stdio::piped());
    command.env(JOBS, jobs.to_string());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("cannot run {}: {error}", program.display());
            return false;
        }
    };
    match watch(&mut child) {
        Ok(status) => status.success(),
        Err(ended) => {
            report(program, arguments, &ended, jobs);
            false
        }
    }
}

/// Returns how many tests run at once: the number that the user has set, or one per core.
fn jobs() -> usize {
    let set = std::env::var(JOBS).ok().and_then(|jobs| jobs.parse().ok());
    set.unwrap_or_else(|| thread::available_parallelism().map_or(2, usize::from))
}

/// Passes the output on until the program ends. If the program was killed for its silence, returns
/// the names of the tests that have ended.
fn watch(child: &mut Child) -> Result<ExitStatus, HashSet<String>> {
    let lines = child.stdout.take().map(pass_on);
    let mut ended = HashSet::new();
    // Measured while there is no output.
    let mut idle: Option<Idle> = None;
    let mut last_end = Instant::now();
    loop {
        let line = match &lines {
            Some(lines) => lines.recv_timeout(LOOK_EVERY),
            None => Err(RecvTimeoutError::Disconnected),
        };
        match line {
            Ok(line) => {
                ended.extend(ended_test(&line));
                last_end = Instant::now();
                idle = None;
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            // The output is closed; the exit status follows.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK_EVERY / 50),
        }
        if let Ok(Some(status)) = child.try_wait() {
            // Collect the remaining output. A process that the program left behind may keep the
            // output open, so do not wait for its end.
            while lines
                .as_ref()
                .is_some_and(|it| it.recv_timeout(LOOK_EVERY).is_ok())
            {}
            return Ok(status);
        }
        let idle = idle.get_or_insert_with(|| Idle::since_now(child.id()));
        if idle.lasts(IDLE_LIMIT) || last_end.elapsed() > BUSY_LIMIT {
            // An error means that the program has just ended.
            let _ = child.kill();
            let _ = child.wait();
            return Err(ended);
        }
    }
}

/// Copies the output as it arrives, and returns its lines.
fn pass_on(mut output: impl Read + Send + 'static) -> Receiver<String> {
    // Unbounded: the receiver only reads, and the copy is made here.
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut line = Vec::new();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            let mut stdout = std::io::stdout().lock();
            // If our own output is gone, the program is watched all the same.
            let _ = stdout.write_all(&bytes[..count]);
            // At once, so that a hang shows all that was printed before it.
            let _ = stdout.flush();
            drop(stdout);
            for byte in &bytes[..count] {
                if *byte == b'\n' {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    if sender.send(text).is_err() {
                        return;
                    }
                    line.clear();
                } else {
                    line.push(*byte);
                }
            }
        }
    });
    lines
}

/// Returns the name of the test whose end a line reports.
fn ended_test(line: &str) -> Option<String> {
    let (name, _verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some(name.trim_end_matches(" - should panic").to_owned())
}

/// Measures for how long a process has not computed.
struct Idle {
    process: u32,
    since: Instant,
    cpu: Option<Duration>,
}

impl Idle {
    fn since_now(process: u32) -> Self {
        Self {
            process,
            since: Instant::now(),
            cpu: cpu_time(process),
        }
    }

    fn lasts(&mut self, limit: Duration) -> bool {
        let time = self.since.elapsed();
        if time < limit {
            return false;
        }
        let (Some(before), Some(now)) = (self.cpu, cpu_time(self.process)) else {
            // Without CPU times, only the limit for computing programs holds.
            return false;
        };
        let share = now.saturating_sub(before).as_secs_f64() / time.as_secs_f64();
        if share >= IDLE_SHARE {
            *self = Self::since_now(self.process);
            return false;
        }
        true
    }
}

/// Returns the CPU time of a process and of all that it has started, on Linux. A test that waits for
/// a program is as busy as that program.
fn cpu_time(process: u32) -> Option<Duration> {
    // The unit in which Linux shows times to programs, whatever the rate of its own clock.
    const TICKS_PER_SECOND: u64 = 100;
    let all = std::fs::read_dir("/proc").ok()?;
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let usages: HashMap<u32, Usage> = ids.filter_map(|id| Some((id, Usage::of(id)?))).collect();
    usages.get(&process)?;
    let is_below = |mut id: u32| {
        // As many steps as there are processes: one that ended between two reads may leave a circle.
        for _ in 0..=usages.len() {
            if id == process {
                return true;
            }
            match usages.get(&id) {
                Some(usage) => id = usage.parent,
                None => return false,
            }
        }
        false
    };
    let below = usages.iter().filter(|(id, _)| is_below(**id));
    let ticks: u64 = below.map(|(_, usage)| usage.ticks).sum();
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// What `/proc` tells of one process.
struct Usage {
    parent: u32,
    /// What it has computed itself, and what the children computed for whose end it has waited.
    ticks: u64,
}

impl Usage {
    fn of(process: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may contain blanks. After it come the fields 3 and on of proc(5):
        // the parent is field 4, the times are the fields 14 to 17.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let times = fields.skip(9).take(4);
        let ticks = times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Some(Self { parent, ticks })
    }
}

fn report(program: &OsString, arguments: &[OsString], ended: &HashSet<String>, jobs: usize) {
    println!(
        "\nHANG: {} was killed: no test has ended for {} s, or for {} s of computing",
        program.display(),
        IDLE_LIMIT.as_secs(),
        BUSY_LIMIT.as_secs(),
    );
    let list = Command::new(program)
        .args(arguments)
        .arg("--list")
        // Whatever the program says there would only stand between the names.
        .stderr(Stdio::null())
        .output();
    let Ok(list) = list else {
        return;
    };
    let list = String::from_utf8_lossy(&list.stdout);
    for name in unfinished(&list, ended, jobs) {
        println!("HANG: not finished: {name}");
    }
}

/// Returns the tests of a list that have begun and not ended, if `jobs` run at once.
fn unfinished<'l>(list: &'l str, ended: &HashSet<String>, jobs: usize) -> Vec<&'l str> {
    list.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .take(ended.len() + jobs)
        .filter(|name| !ended.contains(*name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_have_begun_and_not_ended_are_named() {
        let list = "a: test\nb: test\nc: test\nd: test\ne: test\n\n5 tests, 0 benchmarks\n";
        let ended = ["a", "c"].map(str::to_owned).into();
        assert_eq!(unfinished(list, &ended, 2), ["b", "d"]);
    }

    #[test]
    fn a_line_tells_which_test_has_ended() {
        let ended = |line| ended_test(line);
        assert_eq!(ended("test a::b ... ok").as_deref(), Some("a::b"));
        let panics = "test a - should panic ... FAILED";
        assert_eq!(ended(panics).as_deref(), Some("a"));
        assert_eq!(ended("running 2 tests"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_sleeps_is_idle_and_one_that_computes_is_not() {
        let limit = Duration::from_millis(500);
        let idle_after_limit = |program: &str, arguments: &[&str]| {
            let mut child = Command::new(program).args(arguments).spawn().expect("runs");
            let mut idle = Idle::since_now(child.id());
            thread::sleep(limit);
            let lasts = idle.lasts(limit);
            child.kill().expect("is there");
            child.wait().expect("has ended");
            lasts
        };
        assert!(idle_after_limit("sleep", &["9"]));
        assert!(!idle_after_limit("sh", &["-c", "while :; do :; done"]));
        // A child that computes while its parent waits for it. It ends by itself.
        let waits = "sh -c 'timeout 2 sh -c \"while :; do :; done\"; true'; true";
        assert!(!idle_after_limit("sh", &["-c", waits]));
    }
}
