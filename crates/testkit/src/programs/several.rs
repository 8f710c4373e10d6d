//! Runs programs of several isolates, and checks what must hold in every order of events.
//!
//! Each isolate has one port, to which all can send. The checks ([`Findings`]):
//! - a sender's messages arrive in the order in which they were sent (rule 7);
//! - an isolate that ended by itself has handled every message that it accepted, and any other
//!   isolate a prefix of each sender's messages (rules 15, 19, 20 and 24);
//! - nothing of an isolate comes after its exit message, and each isolate reports its end once
//!   (rule 8);
//! - all isolates end, once nothing pauses them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{
    Capability, ExitReason, Isolate, IsolateCell, Listener, ReceivePort, Runtime, SendPort, Timer,
    checkpoint, schedule_microtask, sleep, spawn_local,
};
use insula_sync::Mutex;

use super::{CAPABILITIES, Node, Operation, Program};
use crate::On;

/// A message: its sender and its code.
type Letter = (usize, Arc<Node>);

/// A report of an isolate about itself.
enum Report {
    Ran,
    Ended(ExitReason),
}

/// The observations of a run.
#[derive(Default)]
struct Seen {
    /// Accepted messages by sender and receiver, in order.
    accepted: Mutex<BTreeMap<(usize, usize), Vec<u32>>>,
    handled: Mutex<BTreeMap<(usize, usize), Vec<u32>>>,
    reports: Mutex<Vec<(usize, Report)>>,
    closed: Mutex<Vec<usize>>,
}

/// The state that all isolates of a program share.
struct Net {
    seen: Arc<Seen>,
    capabilities: [Capability; CAPABILITIES],
    isolates: Mutex<Vec<(Isolate, SendPort<Letter>)>>,
}

/// The faults of a run; empty if there are none.
pub type Findings = Vec<String>;

/// The number of times that the world outside takes pauses back before a program counts as hung.
const PATIENCE: usize = 2_000;

/// Runs a program, and returns its faults.
pub fn findings(program: &Program, on: On) -> Findings {
    let runtime = match on {
        On::Threads => Runtime::builder().threads(2).build(),
        On::Seeded(seed) => Runtime::builder().seeded(seed).build(),
    };
    let net = Arc::new(Net {
        seen: Arc::new(Seen::default()),
        capabilities: std::array::from_fn(|_| Capability::new()),
        isolates: Mutex::new(Vec::new()),
    });
    let (listening, collector) = collect(&runtime, net.seen.clone());
    for (index, entry) in program.entries.iter().enumerate() {
        let isolate = spawn(&runtime, program, &net, index, entry.clone(), &collector);
        net.isolates.lock().push(isolate);
    }
    // No isolate has run yet, so all of them exist when the first one sends.
    let isolates = net.isolates.lock().clone();
    for (isolate, _) in &isolates {
        if let Some(own) = isolate.pause_capability() {
            isolate.resume(own);
        }
    }
    let all_end = drive(&runtime, on, &net.capabilities, &isolates);
    drop(collector);
    net.isolates.lock().clear();
    drop(isolates);
    if all_end {
        // The isolate ends when it has received everything.
        runtime.block_on(listening.exited());
    }
    runtime.shut_down();
    let mut findings = net.seen.findings(program.entries.len());
    if !all_end {
        findings.push("not all end".to_owned());
    }
    findings
}

/// Spawns an isolate that collects the reports of the others.
fn collect(runtime: &Runtime, seen: Arc<Seen>) -> (Isolate, SendPort<(usize, Report)>) {
    Isolate::builder()
        .runtime(runtime)
        .spawn_pair(move |port: ReceivePort<(usize, Report)>| {
            port.listen(move |report| seen.reports.lock().push(report));
        })
}

fn drive(
    runtime: &Runtime,
    on: On,
    capabilities: &[Capability],
    isolates: &[(Isolate, SendPort<Letter>)],
) -> bool {
    for _ in 0..PATIENCE {
        match on {
            On::Threads => runtime.block_on(sleep(Duration::from_millis(1))),
            On::Seeded(_) => {
                runtime.run_until_idle();
                runtime.advance(Duration::from_millis(1));
                runtime.run_until_idle();
            }
        }
        // The collecting isolate is still there.
        if runtime.isolate_count() == 1 {
            return true;
        }
        for (isolate, _) in isolates {
            for &capability in capabilities {
                isolate.resume(capability);
            }
        }
    }
    false
}

fn spawn(
    runtime: &Runtime,
    program: &Program,
    net: &Arc<Net>,
    index: usize,
    entry: Node,
    collector: &SendPort<(usize, Report)>,
) -> (Isolate, SendPort<Letter>) {
    let (net, told) = (net.clone(), collector.clone());
    Isolate::builder()
        .runtime(runtime)
        .paused()
        .error_policy(program.error_policy)
        // Nothing uses the errors, but they must not fill the terminal.
        .on_error(&nobody(runtime))
        .on_exit(collector, move |reason| (index, Report::Ended(reason.clone())))
        .spawn_pair(move |port: ReceivePort<Letter>| {
            // All isolates can send to all, so that none of the ports would ever close by itself.
            port.let_isolate_end();
            let listener = IsolateCell::new(None);
            let member = Arc::new(Member {
                net,
                index,
                told,
                listener: listener.clone(),
            });
            let own = member.clone();
            let opened = port.listen(move |(sender, node)| {
                let mut handled = own.net.seen.handled.lock();
                handled.entry((sender, own.index)).or_default().push(node.label);
                // Before the node runs, which may panic, exit, or send to an isolate whose listener
                // takes this lock.
                drop(handled);
                own.run(&node);
            });
            listener.with(|place| *place = Some(opened));
            member.run(&entry);
        })
}

/// Returns a port that is closed.
fn nobody<T: Send + 'static>(runtime: &Runtime) -> SendPort<T> {
    Isolate::builder()
        .runtime(runtime)
        .spawn_with_port(|port: ReceivePort<T>| drop(port))
}

/// An isolate of the program.
struct Member {
    net: Arc<Net>,
    index: usize,
    told: SendPort<(usize, Report)>,
    listener: IsolateCell<Option<Listener<Letter>>>,
}

impl Member {
    fn run(self: &Arc<Self>, node: &Node) {
        // Refused only where the run is given up, and so has failed already.
        drop(self.told.send((self.index, Report::Ran)));
        node.operations
            .iter()
            .for_each(|operation| self.operate(operation));
    }

    fn later(self: &Arc<Self>, node: &Arc<Node>) -> impl FnOnce() + Send + 'static {
        let (member, node) = (self.clone(), node.clone());
        move || member.run(&node)
    }

    fn other(&self, target: usize) -> Option<(Isolate, SendPort<Letter>)> {
        self.net.isolates.lock().get(target).cloned()
    }

    fn operate(self: &Arc<Self>, operation: &Operation) {
        match operation {
            Operation::Microtask(node) => schedule_microtask(self.later(node)),
            Operation::Task(node) => {
                let run = self.later(node);
                spawn_local(async move { run() });
            }
            Operation::Timer(delay, node) => {
                Timer::after(Duration::from_millis(*delay), self.later(node));
            }
            Operation::Send(target, node) => self.send(*target, node),
            Operation::Close(_) => {
                // Noted before the close: from then on messages may be lost.
                self.net.seen.closed.lock().push(self.index);
                self.listener.with(|listener| listener.map(|it| it.close()));
            }
            Operation::Check => checkpoint(),
            Operation::Exit => Isolate::exit_silently(),
            Operation::Panic => panic!("expected"),
            // That a cancelled timer does not fire is checked with one isolate, and no virtual time
            // passes on threads.
            Operation::Cancel(_) | Operation::Compute(_) => {}
            Operation::Pause(target, _)
            | Operation::Resume(target, _)
            | Operation::Ping(target, ..)
            | Operation::Kill(target, _) => {
                if let Some((isolate, _)) = self.other(*target) {
                    self.control(&isolate, operation);
                }
            }
        }
    }

    fn control(&self, isolate: &Isolate, operation: &Operation) {
        match operation {
            Operation::Pause(_, it) => isolate.pause_with(self.net.capabilities[*it]),
            Operation::Resume(_, it) => isolate.resume(self.net.capabilities[*it]),
            Operation::Ping(_, priority, _) => drop(isolate.ping(*priority)),
            Operation::Kill(_, priority) => isolate.kill_at(*priority),
            _ => {}
        }
    }

    fn send(&self, target: usize, node: &Arc<Node>) {
        let Some((_, port)) = self.other(target) else {
            return;
        };
        // Recorded after the send, which alone tells whether it was accepted. The receiver may be
        // ahead of the record, so the two are compared at the end only.
        if port.send((self.index, node.clone())).is_ok() {
            let mut accepted = self.net.seen.accepted.lock();
            let way = accepted.entry((self.index, target)).or_default();
            way.push(node.label);
        }
    }
}

impl Seen {
    fn findings(&self, isolates: usize) -> Findings {
        let mut findings = Findings::new();
        let reports = std::mem::take(&mut *self.reports.lock());
        let accepted = std::mem::take(&mut *self.accepted.lock());
        let handled = std::mem::take(&mut *self.handled.lock());
        let closed = std::mem::take(&mut *self.closed.lock());
        let ends = (0..isolates).map(|index| end_of(index, &reports, &mut findings));
        let ends: Vec<_> = ends.collect();
        for (way, handled) in &handled {
            let accepted = accepted.get(way).map_or(&[][..], Vec::as_slice);
            if !accepted.starts_with(handled) {
                let (from, to) = way;
                findings.push(format!(
                    "{from} to {to}: sent {accepted:?}, arrived {handled:?}"
                ));
            }
        }
        for (way, accepted) in &accepted {
            let to = way.1;
            let is_whole = matches!(ends[to], Some(ExitReason::Finished));
            let arrived = handled.get(way).map_or(0, Vec::len);
            if is_whole && !closed.contains(&to) && arrived < accepted.len() {
                findings.push(format!(
                    "{} to {to}: {accepted:?}, lost after {arrived}",
                    way.0
                ));
            }
        }
        findings
    }
}

/// Returns how an isolate ended, which it must have reported once, as its last report.
fn end_of(
    index: usize,
    reports: &[(usize, Report)],
    findings: &mut Findings,
) -> Option<ExitReason> {
    let mut end = None;
    for (_, report) in reports.iter().filter(|(it, _)| *it == index) {
        if end.is_some() {
            findings.push(format!("{index} says something after its end"));
        }
        if let Report::Ended(reason) = report {
            end = Some(reason.clone());
        }
    }
    if end.is_none() {
        findings.push(format!("{index} does not tell its end"));
    }
    end
}
