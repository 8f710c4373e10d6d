//! The inspected program: samples of it, and the answers that are made of them.
//!
//! Each sample looks at all isolates and pools once. What a single look cannot tell (how long a turn
//! has gone on, how long a call has run, how many turns there were in all) comes from the
//! difference to the looks before (`view.rs`). What it shows for the first time becomes an event
//! (`news.rs`). Between samples another thread looks at what the threads of the pool run (`watch.rs`).
//! All that is kept is bounded by what exists in the program, or by a constant.
//!
//! One thread looks at a time: it takes what was told out of the desk, so that it holds no lock while
//! it looks, and puts it back together with the new view. Others that need a new view wait for it.

mod control;
mod dump;
mod events;
mod isolates;
mod news;
mod panics;
mod pools;
mod process;
mod profile;
mod recorder;
mod threads;
mod trace;
mod view;
mod waits;
mod watch;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use insula_core::{Capability, IsolateObserver, Runtime};
use insula_pool::pools;
use insula_sync::{Condvar, Mutex};

use crate::model::{Event, Events, History, PROTOCOL, Recording, Sample, Severity, Version, Vm};
use events::Log;
pub(crate) use isolates::{Column, Query};
use news::Told;
pub(crate) use trace::{Tracer, Wanted};
use view::View;
use watch::Watched;

/// Samples that are kept, one for each second.
const HISTORY: usize = 600;

/// A look at the isolates that is younger than this is used again.
const FRESH: Duration = Duration::from_millis(250);

/// The inspected program.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) runtime: Runtime,
    started: Instant,
    started_at_ms: u64,
    limits: Limits,
    desk: Mutex<Desk>,
    /// Is notified when a thread has looked.
    looked: Condvar,
    samples: Mutex<Samples>,
    log: Arc<Log>,
    watched: Mutex<Watched>,
    /// The pauses of this inspector, by isolate; `None` when it is over. Bounded by the isolates that
    /// it has paused.
    pauses: Mutex<Option<HashMap<u64, Capability>>>,
    /// The waits for answers of the last list of waits, and when each was seen first. Bounded by the
    /// isolates that one list asks.
    asked: Mutex<HashMap<Asked, u64>>,
}

/// A wait for answers: the number of the isolate that waits, and those of the isolates that it has
/// asked.
type Asked = (u64, Vec<u64>);

/// The history of the program.
#[derive(Default)]
struct Samples {
    /// The newest last.
    kept: VecDeque<Sample>,
    /// Those that were taken, whether they are kept or not.
    taken: u64,
}

/// What a thread that looks takes, and what it leaves.
struct Desk {
    /// The newest view; `None` before the first look.
    view: Option<Arc<View>>,
    /// `None` while a thread looks.
    told: Option<Told>,
}

/// A thread that looks. Dropping it, also in a panic, puts back what was told.
struct Looking<'a> {
    program: &'a Program,
    told: Option<Told>,
    view: Option<Arc<View>>,
}

/// From when on something is worth an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A turn that goes on for this long.
    pub(crate) stuck: Duration,
    /// A call that runs for this long.
    pub(crate) slow: Duration,
    /// A turn that took this long is recorded.
    pub(crate) long_turn: Duration,
    /// Events that are recorded of each thread.
    pub(crate) per_thread: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stuck: Duration::from_secs(1),
            slow: Duration::from_secs(10),
            long_turn: Duration::from_millis(50),
            per_thread: 100,
        }
    }
}

/// Why a request has no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// There is no such isolate or pool.
    Missing(String),
    /// The operation failed.
    Failed(String),
}

impl Program {
    pub(crate) fn new(name: String, runtime: Runtime, limits: Limits) -> Self {
        let started = Instant::now();
        let log = Arc::new(Log::new(started, runtime.clone(), limits.per_thread));
        panics::tell(&log);
        Self {
            name,
            runtime,
            started,
            started_at_ms: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, millis),
            limits,
            desk: Mutex::new(Desk {
                view: None,
                told: Some(Told::default()),
            }),
            looked: Condvar::new(),
            samples: Mutex::default(),
            log,
            watched: Mutex::default(),
            pauses: Mutex::new(Some(HashMap::new())),
            asked: Mutex::default(),
        }
    }

    /// Returns what is to be told of the isolates' lives.
    pub(crate) fn observer(&self) -> Arc<dyn IsolateObserver> {
        Arc::<Log>::clone(&self.log)
    }

    fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    pub(crate) fn version() -> Version {
        PROTOCOL
    }

    /// Answers `getVM`.
    pub(crate) fn vm(&self, can_control: bool) -> Vm {
        Vm {
            name: self.name.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            operating_system: std::env::consts::OS.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            started_at_ms: self.started_at_ms,
            uptime_ms: self.now_ms(),
            can_control,
            now: self.newest(),
        }
    }

    /// Returns the newest sample of the history.
    pub(crate) fn newest(&self) -> Sample {
        self.samples.lock().kept.back().copied().unwrap_or_default()
    }

    /// Returns the number of samples that were taken.
    pub(crate) fn samples_taken(&self) -> u64 {
        self.samples.lock().taken
    }

    /// Answers `getHistory`.
    pub(crate) fn history(&self, limit: usize) -> History {
        let history = &self.samples.lock().kept;
        let skipped = history.len().saturating_sub(limit);
        let samples = history.iter().skip(skipped).copied().collect();
        History { samples }
    }

    /// Answers `getEvents`.
    pub(crate) fn events(&self, since: u64, limit: usize) -> Events {
        self.log.since(since, limit)
    }

    /// Answers `getRecording`.
    pub(crate) fn recording(&self, limit: usize) -> Recording {
        self.log.recording(limit)
    }

    /// Returns the number of errors of isolates so far, and of panics outside of them.
    pub(crate) fn errors(&self) -> u64 {
        self.log.errors()
    }

    /// Adds that a dump was written, or why not.
    pub(crate) fn tell_of_dump(&self, path: &Path, error: Option<io::Error>) {
        let (severity, text) = match error {
            None => (
                Severity::Info,
                format!("wrote a dump to {}", path.display()),
            ),
            Some(error) => {
                let text = format!("cannot write a dump to {}: {error}", path.display());
                (Severity::Error, text)
            }
        };
        self.log.add(Event {
            kind: "dump".to_owned(),
            severity,
            text,
            ..Event::default()
        });
    }

    /// Adds the panic that unwinds this thread, if it was not told of yet.
    pub(crate) fn tell_of_unwinding(&self) {
        panics::tell_of_unwinding(&self.log);
    }

    /// Adds an event of the inspector itself.
    pub(crate) fn note(&self, event: Event) {
        self.log.add(event);
    }

    /// Takes a sample into the history, and adds the events that follow from it.
    pub(crate) fn tick(&self) {
        let begun = Instant::now();
        let view = self.view(Duration::ZERO);
        let mut sample = view.sample(self.now_ms());
        sample.cost_us = begun.elapsed().as_micros() as u64;
        let mut samples = self.samples.lock();
        if samples.kept.len() == HISTORY {
            samples.kept.pop_front();
        }
        samples.kept.push_back(sample);
        samples.taken += 1;
    }
}

impl Program {
    /// Returns a view that is not older than `age`.
    fn view(&self, age: Duration) -> Arc<View> {
        let begun = Instant::now();
        let is_new = |view: &Arc<View>| view.at + age >= begun;
        let mut desk = self.desk.lock();
        let told = loop {
            if let Some(view) = desk.view.as_ref().filter(|view| is_new(view)) {
                return view.clone();
            }
            match desk.told.take() {
                Some(told) => break told,
                None => desk = self.looked.wait(desk),
            }
        };
        let before = desk.view.clone();
        drop(desk);
        let mut looking = Looking {
            program: self,
            told: Some(told),
            view: before.clone(),
        };
        let now = self.now_ms();
        let pools = pools();
        let mut view = View::take(&self.runtime, &pools, before.as_deref(), now);
        let is_there = |number| view.seen.isolates.contains_key(&number);
        view.cpu = self.watched.lock().cpu(is_there);
        view.read_pinned();
        let view = Arc::new(view);
        let news = looking
            .told
            .as_mut()
            .map(|told| told.news(&view, &pools, self.limits, now));
        looking.view = Some(view.clone());
        drop(looking);
        for event in news.into_iter().flatten() {
            self.log.add(event);
        }
        view
    }

    /// Returns a view that is young enough for a client.
    fn recent(&self) -> Arc<View> {
        self.view(FRESH)
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let mut desk = self.program.desk.lock();
        desk.told = self.told.take();
        let before = std::mem::replace(&mut desk.view, self.view.take());
        drop(desk);
        // Outside of the lock, since it may be large.
        drop(before);
        self.program.looked.notify_all();
    }
}

/// Returns a duration in whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
