//! Runs programs of one isolate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{
    Capability, ErrorCause, ExitReason, Isolate, IsolateCell, Listener, ReceivePort, Runtime,
    SendPort, Timer, UncaughtError, checkpoint, schedule_microtask, spawn_local,
};
use insula_sync::Mutex;

use super::{CAPABILITIES, Node, Operation, PORTS, Program};

/// The number of times that the world outside may let time pass before a program counts as hung.
/// Each timer needs a few at most.
const PATIENCE: usize = 10_000;

/// The state that all code of the isolate uses.
struct World {
    log: Arc<Mutex<Vec<String>>>,
    senders: Vec<SendPort<Arc<Node>>>,
    listeners: Vec<Listener<Arc<Node>>>,
    capabilities: [Capability; CAPABILITIES],
    timers: IsolateCell<HashMap<u32, Timer>>,
}

/// Returns the trace that the program leaves.
pub fn trace(program: &Program, seed: u64) -> String {
    let runtime = Runtime::builder()
        .seeded(seed)
        .compat(program.compat)
        .build();
    let log = Arc::new(Mutex::new(Vec::new()));
    let errors = Arc::new(Mutex::new(Vec::new()));
    // Made here and not in the isolate, since the world outside takes the pauses back.
    let capabilities = std::array::from_fn(|_| Capability::new());
    let heard = errors.clone();
    let watcher = Isolate::builder().runtime(&runtime).spawn_with_port(
        move |port: ReceivePort<UncaughtError>| {
            port.listen(move |error| heard.lock().push(label_of(&error)));
        },
    );
    let (entry, lines) = (program.entries[0].clone(), log.clone());
    let isolate = Isolate::builder()
        .runtime(&runtime)
        .error_policy(program.error_policy)
        .on_error(&watcher)
        .spawn(move |()| World::open(lines, capabilities).run(&entry), ());
    let end = drive(&runtime, &isolate, &capabilities);
    // The last errors may still be on their way.
    runtime.run_until_idle();
    drop(watcher);
    runtime.shut_down();
    let mut lines = std::mem::take(&mut *log.lock());
    lines.push(format!("errors {:?}", errors.lock()));
    lines.push(end.to_owned());
    lines.join(" ")
}

/// Lets time pass and takes pauses back, in turn, until the isolate has ended.
fn drive(runtime: &Runtime, isolate: &Isolate, capabilities: &[Capability]) -> &'static str {
    for idle in 1..PATIENCE {
        runtime.run_until_idle();
        if !runtime_has(runtime) {
            let reason = runtime.block_on(isolate.exited());
            return match reason {
                ExitReason::Finished => "finished",
                ExitReason::Killed => "killed",
                ExitReason::Exited => "exited",
                ExitReason::Panicked(_) => "panicked",
                _ => "ended otherwise",
            };
        }
        if idle % 2 == 1 {
            runtime.advance(Duration::from_millis(1));
        } else {
            for &capability in capabilities {
                isolate.resume(capability);
            }
        }
    }
    "alive"
}

/// Returns whether an isolate exists besides the one that receives the errors.
fn runtime_has(runtime: &Runtime) -> bool {
    runtime.isolate_count() > 1
}

fn label_of(error: &UncaughtError) -> u32 {
    match &error.cause {
        // A panic that is not the program's own gets a label that no node has, and the traces
        // differ.
        ErrorCause::Panicked(report) => report.message().parse().unwrap_or(u32::MAX),
        _ => u32::MAX,
    }
}

impl World {
    fn open(log: Arc<Mutex<Vec<String>>>, capabilities: [Capability; CAPABILITIES]) -> Arc<Self> {
        let ports: Vec<ReceivePort<Arc<Node>>> = (0..PORTS).map(|_| ReceivePort::new()).collect();
        let senders = ports.iter().map(ReceivePort::send_port).collect();
        // Weak, so that the isolate ends although it can send to itself.
        ports.iter().for_each(|port| port.let_isolate_end());
        // Empty at first: the listeners need the world, which is complete only with them.
        let place = IsolateCell::new(None::<Arc<Self>>);
        let listeners = ports.into_iter().map(|port| {
            let place = place.clone();
            port.listen(move |node: Arc<Node>| {
                let world = place.with(|world| world.clone());
                world.expect("set before the first message").run(&node);
            })
        });
        let world = Arc::new(Self {
            log,
            senders,
            listeners: listeners.collect(),
            capabilities,
            timers: IsolateCell::new(HashMap::new()),
        });
        place.with(|place| *place = Some(world.clone()));
        world
    }

    fn line(&self, line: impl ToString) {
        self.log.lock().push(line.to_string());
    }

    fn run(self: &Arc<Self>, node: &Node) {
        self.line(node.label);
        for operation in &node.operations {
            self.operate(node.label, operation);
        }
    }

    /// Returns a closure that runs a node.
    fn later(self: &Arc<Self>, node: &Arc<Node>) -> impl FnOnce() + Send + 'static {
        let (world, node) = (self.clone(), node.clone());
        move || world.run(&node)
    }

    fn operate(self: &Arc<Self>, label: u32, operation: &Operation) {
        let me = || Isolate::current().expect("a program runs in an isolate");
        match operation {
            Operation::Microtask(node) => schedule_microtask(self.later(node)),
            Operation::Task(node) => {
                let run = self.later(node);
                spawn_local(async move { run() });
            }
            Operation::Timer(delay, node) => {
                let timer = Timer::after(Duration::from_millis(*delay), self.later(node));
                self.timers.with(|timers| timers.insert(node.label, timer));
            }
            Operation::Cancel(label) => {
                let timer = self.timers.with(|timers| timers.remove(label));
                timer.map(Timer::cancel);
            }
            Operation::Send(port, node) => {
                if self.senders[*port].send(node.clone()).is_err() {
                    self.line("refused");
                }
            }
            Operation::Close(port) => self.listeners[*port].close(),
            Operation::Pause(_, it) => me().pause_with(self.capabilities[*it]),
            Operation::Resume(_, it) => me().resume(self.capabilities[*it]),
            Operation::Ping(_, priority, label) => {
                let (world, label) = (self.clone(), *label);
                drop(me().run_at(*priority, move || world.line(format!("pong{label}"))));
            }
            Operation::Kill(_, priority) => me().kill_at(*priority),
            Operation::Check => checkpoint(),
            Operation::Compute(duration) => {
                Runtime::current().advance(Duration::from_millis(*duration));
            }
            Operation::Exit => Isolate::exit_silently(),
            // The message is the label, which `label_of` reads.
            Operation::Panic => panic!("{label}"),
        }
    }
}
