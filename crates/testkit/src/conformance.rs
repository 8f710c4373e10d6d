//! The cases that were recorded from a real Dart VM, and Insula's behavior in each.
//!
//! Each [`Case`] has the VM's case number, the name of the recorded program, and its set-up. A
//! [`Check`] is a body that runs here, and the trace that it must leave. The traces are the VM's.
//! Where Insula differs on purpose, the case gives the reason and the check has both traces; if the
//! case says so, the VM's trace must come back under [`Compat::Dart`].
//!
//! Bodies do not depend on real time: what took time in the VM computes on virtual time, and what
//! happened "meanwhile" runs on another thread while the isolate's code waits for it.

mod control;
mod document;
mod io;
mod listeners;
mod loop_and_timers;
mod ports;
mod rules;
mod stage;

use std::fmt;

use insula_core::Compat;

use crate::run::trace_of;
use crate::{Log, On};
pub use document::document;
pub use rules::{RULES, Rule};

/// One recorded case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The case's number, with a letter if a program has several parts.
    pub id: &'static str,
    /// The recorded program.
    pub program: &'static str,
    /// A description of the program.
    pub what: &'static str,
    /// Insula's behavior in this case.
    pub verdict: Verdict,
    /// The bodies to run.
    pub checks: &'static [Check],
    /// A further remark.
    pub note: &'static str,
    /// Names of other tests that cover the case too.
    pub tests: &'static [&'static str],
}

/// Insula's behavior in a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The same as the VM.
    AsVm,
    /// Different on purpose; [`Compat::Dart`] restores the VM's behavior.
    DifferentUnlessDart(&'static str),
    /// Different on purpose, always.
    Different(&'static str),
    /// Not applicable: the case makes no sense in Rust. Its checks, if any, show the counterpart.
    NotApplicable(&'static str),
    /// Not implemented yet.
    Later(&'static str),
}

/// A body to run, and the trace that it must leave in the log.
#[derive(Clone, Copy)]
pub struct Check {
    /// The part of the case; empty if the check covers all of it.
    pub part: &'static str,
    /// The trace that Insula must leave.
    pub trace: &'static str,
    /// The trace of the VM, if it differs.
    pub vm: Option<&'static str>,
    /// The place where it can run.
    pub place: Place,
    body: fn(Log),
}

/// The place where a check can run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// On virtual time and on threads.
    Both,
    /// On virtual time, because it lets time pass.
    VirtualTime,
    /// On threads, because it blocks them.
    Threads,
}

impl Place {
    fn is_on(self, on: On) -> bool {
        match self {
            Self::Both => true,
            Self::VirtualTime => on != On::Threads,
            Self::Threads => on == On::Threads,
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("part", &self.part)
            .field("trace", &self.trace)
            .field("vm", &self.vm)
            .finish_non_exhaustive()
    }
}

impl Case {
    const fn new(
        id: &'static str,
        program: &'static str,
        what: &'static str,
        verdict: Verdict,
        checks: &'static [Check],
    ) -> Self {
        Self {
            id,
            program,
            what,
            verdict,
            checks,
            note: "",
            tests: &[],
        }
    }

    const fn as_vm(
        id: &'static str,
        program: &'static str,
        what: &'static str,
        checks: &'static [Check],
    ) -> Self {
        Self::new(id, program, what, Verdict::AsVm, checks)
    }

    const fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    const fn tests(mut self, tests: &'static [&'static str]) -> Self {
        self.tests = tests;
        self
    }
}

impl Check {
    const fn new(trace: &'static str, body: fn(Log)) -> Self {
        Self {
            part: "",
            trace,
            vm: None,
            place: Place::Both,
            body,
        }
    }

    /// For a body that lets time pass.
    const fn timed(trace: &'static str, body: fn(Log)) -> Self {
        let mut check = Self::new(trace, body);
        check.place = Place::VirtualTime;
        check
    }

    /// For a body that blocks threads.
    const fn on_threads(trace: &'static str, body: fn(Log)) -> Self {
        let mut check = Self::new(trace, body);
        check.place = Place::Threads;
        check
    }

    const fn part(mut self, part: &'static str) -> Self {
        self.part = part;
        self
    }

    const fn vm(mut self, trace: &'static str) -> Self {
        self.vm = Some(trace);
        self
    }

    /// Returns the trace that must be seen under `compat` in a case with `verdict`.
    fn expected(&self, verdict: Verdict, compat: Compat) -> &'static str {
        match (verdict, self.vm) {
            (Verdict::DifferentUnlessDart(_), Some(vm)) if compat == Compat::Dart => vm,
            _ => self.trace,
        }
    }
}

/// Returns all cases, in the order of their numbers.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        loop_and_timers::CASES,
        control::CASES,
        listeners::CASES,
        ports::CASES,
        io::CASES,
    ]
    .into_iter()
    .flatten()
}

/// The outcome of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every check left the trace that it must leave.
    Passed,
    /// No check of the case runs there.
    Nothing,
    /// Some checks left another trace.
    Failed(Vec<Failure>),
}

/// A check that left a different trace than it must.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The case.
    pub id: &'static str,
    /// The part of the case.
    pub part: &'static str,
    /// The order of events that the runtime followed.
    pub compat: Compat,
    /// The place where it ran.
    pub on: On,
    /// The trace that it must leave.
    pub expected: &'static str,
    /// The trace that it left.
    pub seen: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            part,
            compat,
            on,
            ..
        } = self;
        writeln!(f, "case {id} {part} (as {compat:?}, {on})")?;
        let (expected, seen) = (self.expected, self.seen.as_str());
        // As `Log::text` joins them. A line that has a comma itself counts as two, on both sides.
        let lines = |text: &'static str| text.split(", ");
        let same = lines(expected)
            .zip(seen.split(", "))
            .take_while(|(expected, seen)| expected == seen)
            .count();
        writeln!(f, "  expected: {expected}")?;
        writeln!(f, "  seen:     {seen}")?;
        write!(f, "  the first {same} lines are the same")
    }
}

/// Runs the checks of a case that can run on `on`, in Insula's order of events and in the VM's.
pub fn run(case: &Case, on: On) -> Outcome {
    let mut failures = Vec::new();
    let mut count = 0;
    let checks = case.checks.iter();
    for check in checks.filter(|check| check.place.is_on(on)) {
        count += 1;
        // Both, also for a case whose trace is the same in both: that it does not depend on the
        // order is part of it.
        for compat in [Compat::Insula, Compat::Dart] {
            let expected = check.expected(case.verdict, compat);
            let seen = trace_of(on, compat, check.body);
            if seen != expected {
                failures.push(Failure {
                    id: case.id,
                    part: check.part,
                    compat,
                    on,
                    expected,
                    seen,
                });
            }
        }
    }
    match (failures.is_empty(), count) {
        (true, 0) => Outcome::Nothing,
        (true, _) => Outcome::Passed,
        (false, _) => Outcome::Failed(failures),
    }
}
