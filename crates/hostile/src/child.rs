//! Processes that run programs, and the parent that watches them.
//!
//! # Protocol
//! A child prints a line before and after each program: `begin SEED`, then `end SEED` or `fault
//! SEED WHAT`. A watchdog in the child ends it when a program makes no progress: it prints the
//! unfinished operations as a fault, and exits. If a child ends in any other way, by an abort or a
//! signal, the program that had begun is at fault, and the parent starts another child with the
//! next program.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicU64, Ordering};
use insula_sync::{Condvar, Mutex};

use crate::program::{Kind, Program};
use crate::run::{Watched, execute};

/// The number of programs that one child runs. The first one finds the library unused.
const CHUNK: u64 = 20;

/// The number of bytes that are kept of a child's error stream.
const TAIL: usize = 20_000;

/// The exit code of a child whose program hangs.
// Any code but 0 would do: the line that was printed before says the rest.
const HANGS: i32 = 86;

/// Silences the panics of programs. All other panics have a text, and are reported.
pub(crate) fn prepare() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        if payload.is::<&str>() || payload.is::<String>() {
            before(info);
        }
    }));
    // Programs make errors without end, among which the message of an abort would be lost.
    insula_core::set_error_hook(|_| {});
}

/// Runs a program under a watchdog, which ends the process if the program makes no step for
/// `limit`.
pub(crate) fn run_watched(program: &Program, limit: Duration) -> Vec<String> {
    static WATCHED: Mutex<Option<(Watched, Instant)>> = Mutex::new(None);
    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| {
        std::thread::spawn(move || {
            loop {
                // Limits are whole seconds, so that a look every tenth of one is early enough.
                std::thread::sleep(Duration::from_millis(100));
                // Out of the lock, since the report of a hang takes the locks of the ledger.
                let watched = WATCHED.lock().clone();
                if let Some((watched, since)) = watched
                    && since.elapsed() > limit
                {
                    say(&format!("hang {}", watched.unfinished()));
                    std::process::exit(HANGS);
                }
            }
        });
    });
    execute(program, |watched| {
        let watched = watched.map(|watched| (watched, Instant::now()));
        let before = std::mem::replace(&mut *WATCHED.lock(), watched);
        drop(before);
    })
}

fn say(line: &str) {
    // Not `println!`, which panics if the parent has gone. And always a single line, since the
    // parent would take the rest of a longer text for a report of its own.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", line.replace('\n', " "));
    let _ = out.flush();
}

/// Runs as a child: runs programs and reports each one.
pub(crate) fn serve(kind: Kind, from: u64, count: u64, limit: u64) {
    prepare();
    for seed in from..from + count {
        // Before the program is made, so that a panic of the generator is laid to its seed.
        say(&format!("begin {seed}"));
        let program = Program::generate(kind, seed);
        let faults = run_watched(&program, Duration::from_secs(limit));
        if faults.is_empty() {
            say(&format!("end {seed}"));
        } else {
            say(&format!("fault {seed} {}", faults.join("; ")));
        }
    }
}

/// Programs to run.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) from: u64,
    pub(crate) count: u64,
    /// The time without progress that counts as a hang, in seconds.
    pub(crate) limit: u64,
}

/// A program that failed.
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    pub(crate) what: String,
}

/// Starts children until all programs have run.
pub(crate) struct Driver {
    job: Job,
    next: AtomicU64,
    done: AtomicU64,
    failures: Mutex<Vec<Failure>>,
}

impl Driver {
    pub(crate) fn new(job: Job) -> Self {
        Self {
            job,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failures: Mutex::new(Vec::new()),
        }
    }

    /// Runs all programs, and returns the failures.
    pub(crate) fn run(self, jobs: usize) -> Vec<Failure> {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while let Some((from, count)) = self.claim() {
                        self.chunk(from, count);
                        self.progress(start);
                    }
                });
            }
        });
        let mut failures = self.failures.into_inner();
        failures.sort_by_key(|failure| failure.seed);
        failures
    }

    fn claim(&self) -> Option<(u64, u64)> {
        // Relaxed: only the number matters; `job` is not changed after the start.
        let from = self.next.fetch_add(CHUNK, Ordering::Relaxed);
        let left = self.job.count.checked_sub(from).filter(|left| *left > 0)?;
        Some((self.job.from + from, left.min(CHUNK)))
    }

    #[expect(clippy::print_stderr, reason = "a program's own output")]
    fn progress(&self, start: Instant) {
        // Relaxed: a figure for the terminal, which may be late.
        let done = self.done.load(Ordering::Relaxed);
        // About twenty lines, for any number of programs.
        let every = (self.job.count / CHUNK / 20).max(1) * CHUNK;
        if done % every < CHUNK {
            let failed = self.failures.lock().len();
            eprintln!(
                "{}: {done} of {} programs, {failed} failed, {:.0} s",
                self.job.kind,
                self.job.count,
                start.elapsed().as_secs_f32()
            );
        }
    }

    /// Runs programs in children. A child that ends early is followed by a new one.
    fn chunk(&self, mut from: u64, count: u64) {
        let end = from + count;
        while from < end {
            let ran = self.child(from, end - from);
            self.done.fetch_add(ran, Ordering::Relaxed);
            from += ran;
        }
    }

    /// Keeps a failure, and says it at once: a long run may be stopped before its end.
    #[expect(clippy::print_stderr, reason = "a program's own output")]
    fn fail(&self, seed: u64, what: String) {
        let kind = self.job.kind;
        eprintln!("failed {kind} {seed}: {what}");
        self.failures.lock().push(Failure { kind, seed, what });
    }

    /// Runs one child. Returns how many programs have run.
    fn child(&self, from: u64, count: u64) -> u64 {
        let Job { kind, limit, .. } = self.job;
        let arguments = [
            "child".to_owned(),
            kind.to_string(),
            from.to_string(),
            count.to_string(),
            limit.to_string(),
        ];
        let mut begun = from;
        let mut is_open = false;
        let mut hang = None;
        let outcome = supervise(&arguments, limit, |line| {
            let mut words = line.splitn(3, ' ');
            let word = words.next().unwrap_or_default();
            // It names no seed: the watchdog knows only that the program which has begun does not
            // end.
            if word == "hang" {
                hang = Some(line.to_owned());
                return;
            }
            let seed = words.next().and_then(|it| it.parse().ok());
            match (word, seed) {
                ("begin", Some(seed)) => (begun, is_open) = (seed, true),
                ("end", Some(_)) => is_open = false,
                ("fault", Some(seed)) => {
                    is_open = false;
                    self.fail(seed, words.next().unwrap_or_default().to_owned());
                }
                _ => {}
            }
        });
        if is_open {
            self.fail(begun, hang.unwrap_or_else(|| outcome.describe()));
            begun - from + 1
        } else {
            count
        }
    }
}

/// The end of a child.
pub(crate) struct Outcome {
    status: Option<ExitStatus>,
    errors: String,
}

impl Outcome {
    /// Returns whether the child ended as it should.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Describes the outcome.
    pub(crate) fn describe(&self) -> String {
        // Of a backtrace, keep only the panic messages.
        let lines: Vec<&str> = self.errors.lines().collect();
        let panics = lines
            .windows(2)
            .filter(|two| two[0].contains("panicked at"));
        let mut said: Vec<String> = panics.map(|two| two.join(" ")).collect();
        if said.is_empty() {
            said.extend(lines.last().map(|line| (*line).to_owned()));
        }
        // The last ones, since an abort follows the panics that have led to it.
        let errors = said[said.len().saturating_sub(3)..].join(" | ");
        match self.status {
            Some(status) => format!("ended with {status}: {errors}"),
            None => format!("did not end: {errors}"),
        }
    }
}

/// Runs this executable with other arguments, and passes its lines on. A child that prints nothing
/// for much longer than its own watchdog waits is killed.
pub(crate) fn supervise(arguments: &[String], limit: u64, mut line: impl FnMut(&str)) -> Outcome {
    let failed = |error: std::io::Error| Outcome {
        status: None,
        errors: error.to_string(),
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return failed(error),
    };
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return failed(error),
    };
    let (Some(out), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        unreachable!("both are pipes");
    };
    // Read at all times: a child that writes much would otherwise wait for room in the pipe, and
    // look as if it hung.
    let tail = std::thread::spawn(move || tail_of(errors));
    let patience = Patience {
        state: Mutex::new((Instant::now(), false)),
        over: Condvar::new(),
    };
    let status = std::thread::scope(|scope| {
        let patience = &patience;
        // Both `kill` and `wait` borrow the child mutably, so one thread does both.
        let killer = scope.spawn(move || {
            // Long after the child's own watchdog, which alone can tell what has not ended.
            patience.watch(&mut child, Duration::from_secs(3 * limit + 10));
            child.wait().ok()
        });
        for text in BufReader::new(out).lines().map_while(Result::ok) {
            patience.state.lock().0 = Instant::now();
            line(&text);
        }
        patience.state.lock().1 = true;
        patience.over.notify_all();
        killer.join().ok().flatten()
    });
    Outcome {
        status,
        errors: tail.join().unwrap_or_default(),
    }
}

/// The time of a child's last output, and a flag for the end of its output.
struct Patience {
    state: Mutex<(Instant, bool)>,
    over: Condvar,
}

impl Patience {
    /// Kills a child that prints nothing for `limit`.
    fn watch(&self, child: &mut Child, limit: Duration) {
        let mut state = self.state.lock();
        while !state.1 {
            state = self.over.wait_timeout(state, Duration::from_millis(200));
            if state.0.elapsed() > limit {
                // An error says that it has ended by itself, and then its output ends too.
                let _ = child.kill();
            }
        }
    }
}

fn tail_of(mut stream: impl Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..read]);
        // Only now and then, since it moves all bytes that are kept.
        if kept.len() > 4 * TAIL {
            kept.drain(..kept.len() - TAIL);
        }
    }
    let start = kept.len().saturating_sub(TAIL);
    String::from_utf8_lossy(&kept[start..]).into_owned()
}
