//! What an inspector shows, as plain data.
//!
//! These types are the protocol: the server writes them as JSON, with names in camel case, and the
//! command line and the page read them. None of them refers to the running program. Counters whose
//! names end in `total` only grow. Times end in their unit.

use serde::{Deserialize, Serialize};

/// The version of the protocol. The first number changes with changes that old clients cannot read.
pub const PROTOCOL: Version = Version { major: 1, minor: 1 };

/// The version of a protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Version {
    /// Differs if clients must be changed.
    pub major: u32,
    /// Grows with additions.
    pub minor: u32,
}

/// The program, the answer to `getVM`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Vm {
    /// The name of the program.
    pub name: String,
    /// The number of its process.
    pub pid: u32,
    /// The version of the library in it.
    pub version: String,
    /// The name of the operating system.
    pub operating_system: String,
    /// The cores that the process may use.
    pub cores: usize,
    /// When the inspector was started, in milliseconds since 1970 in UTC.
    pub started_at_ms: u64,
    /// Milliseconds since then.
    pub uptime_ms: u64,
    /// Whether this connection may pause, kill, drain and so on.
    pub can_control: bool,
    /// The newest sample.
    pub now: Sample,
}

/// The whole program at one moment.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Sample {
    /// Milliseconds since the inspector was started.
    pub at_ms: u64,
    /// Isolates that have not ended.
    pub isolates: u64,
    /// Those of them in the middle of a turn.
    pub running: u64,
    /// Those that wait for a thread.
    pub runnable: u64,
    /// Those that are paused.
    pub paused: u64,
    /// Isolates that were spawned.
    pub spawned_total: u64,
    /// Isolates that have ended.
    pub ended_total: u64,
    /// Messages and other events that wait in the queues of all isolates.
    pub queued: u64,
    /// Turns of all isolates. Of an isolate with a thread of its own, those up to the last look at it.
    pub turns_total: u64,
    /// Threads that the pool has started.
    pub threads: u64,
    /// Those of them that are inside of one long turn, or blocked.
    pub stuck_threads: u64,
    /// Waits that block a thread until an isolate or another thread ends them.
    pub waits: u64,
    /// Bytes of the process's memory that are resident, where that is known.
    pub memory_bytes: Option<u64>,
    /// Milliseconds that the process has spent on the CPU, where that is known.
    pub cpu_total_ms: Option<u64>,
    /// Calls that were submitted to the pools. Here and below, those of a pool that has ended as the last
    /// sample before its end has them: of a pool that has lived between two samples there are none.
    pub calls_submitted_total: u64,
    /// Calls of the pools that have ended in any way.
    pub calls_ended_total: u64,
    /// Calls of the pools that did not end with an answer or an error of their handler.
    pub calls_lost_total: u64,
    /// Calls that wait in the queues of the pools.
    pub calls_queued: u64,
    /// Calls that the workers of the pools run.
    pub calls_running: u64,
    /// Microseconds that it took to take this sample.
    pub cost_us: u64,
}

/// What an isolate does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum IsolateState {
    /// Nothing is queued.
    #[default]
    Idle,
    /// It waits for a thread.
    Runnable,
    /// A thread runs it.
    Running,
    /// It handles control messages only.
    Paused,
    /// It has ended.
    Ended,
}

/// Which threads run an isolate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum IsolateKind {
    /// Any thread of the pool.
    #[default]
    Pooled,
    /// A thread of its own.
    Pinned,
    /// The loop of a host, such as a window system's.
    Root,
}

/// A row of the table of isolates.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Isolate {
    /// `isolates/` and its number.
    pub id: String,
    /// Its name; without one, `isolate-` and its number.
    pub name: String,
    /// Which threads run it.
    pub kind: IsolateKind,
    /// The name of its group, if it belongs to one.
    pub group: Option<String>,
    /// What it does.
    pub state: IsolateState,
    /// Messages and other events that wait in its queue.
    pub queued: u64,
    /// Control messages that it has not handled.
    pub control_queued: u64,
    /// Its turns.
    pub turns_total: u64,
    /// Milliseconds for which its present turn has gone on, if the same one was seen before.
    pub turn_ms: Option<u64>,
    /// Milliseconds since the inspector first saw it.
    pub seen_ms: u64,
    /// Whether it waits and blocks its thread.
    pub is_blocked: bool,
    /// Milliseconds on the CPU since the inspector was started, as an estimate: what the threads of
    /// the pool have spent there, shared out by looks at what they run. Of a pinned isolate, what its
    /// thread has spent since it began. Absent where the system does not tell it, and for root
    /// isolates.
    pub cpu_total_ms: Option<u64>,
    /// Its open ports, if they were asked for and it has answered in time.
    pub ports: Option<u64>,
}

/// The answer to `getIsolates`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Isolates {
    /// All isolates.
    pub total: u64,
    /// Those that fit the filter.
    pub matched: u64,
    /// Of those that were asked for their ports, the isolates that have not answered in time.
    pub unanswered: u64,
    /// The rows that were asked for.
    pub isolates: Vec<Isolate>,
}

/// One isolate in detail, the answer to `getIsolate`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct IsolateDetail {
    /// The row of the table.
    pub isolate: Isolate,
    /// Whether the isolate has answered. One that computes or blocks does not, and then the rest is
    /// empty but for `waits` and `why`.
    pub has_answered: bool,
    /// The newest 200 of its ports, in the order in which they were opened. `getPorts` has all.
    pub ports: Vec<Port>,
    /// The number of its ports.
    pub ports_total: u64,
    /// Its timers.
    pub timers: u64,
    /// Milliseconds until the next timer is due.
    pub next_timer_ms: Option<u64>,
    /// Its tasks.
    pub tasks: u64,
    /// Those of them that something outside of the isolate can wake.
    pub awaited_tasks: u64,
    /// Its questions without an answer.
    pub questions: Vec<Question>,
    /// Microtasks that wait, because an error has left them behind.
    pub microtasks: u64,
    /// Pauses that have not been resumed.
    pub pauses: u64,
    /// The waits that it is a part of.
    pub waits: Vec<Wait>,
    /// A cycle of waits that it is in, or waits for, perhaps by way of others: each party waits for
    /// the next, and the last for the first.
    pub cycle: Vec<Party>,
    /// Why it is alive, why it waits and what to do, in sentences.
    pub why: Vec<String>,
}

/// A port of an isolate.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// `ports/` and its number.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The place in the source that has opened it.
    pub opened_at: String,
    /// Its senders.
    pub senders: u64,
    /// How it receives: `listener`, `buffered` or `ignored`.
    pub mode: String,
    /// Messages that have arrived and that nothing has asked for.
    pub buffered: u64,
    /// The most messages that it holds, if it is bounded.
    pub bound: Option<u64>,
    /// Places of a bounded port in use.
    pub used: Option<u64>,
    /// Senders that wait for room.
    pub waiting_senders: u64,
    /// Whether it keeps its isolate alive.
    pub keeps_alive: bool,
}

/// The answer to `getPorts`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Ports {
    /// The ports of the isolate.
    pub ports: Vec<Port>,
}

/// A question without an answer.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Question {
    /// The isolate that was asked. It may have handed the question on.
    pub asked: Option<Party>,
}

/// An isolate, a thread outside of isolates, or a pool.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Party {
    /// `isolates/`, `threads/` or `pools/`, and a number.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A wait: `waiter` goes on only once `holders` act.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Wait {
    /// Who waits.
    pub waiter: Party,
    /// Who can end the wait; for a call in a queue, the pool. Empty if that is not known.
    pub holders: Vec<Party>,
    /// `blocked` if the waiter blocks its thread, `asked` if its task waits for an answer, `call` if
    /// it waits for a call of a pool.
    pub kind: String,
    /// Of a call: its method, and the pool, worker or queue that holds it.
    pub call: Option<String>,
    /// Milliseconds since the inspector first saw it.
    pub seen_ms: u64,
    /// Whether it is a part of a cycle, in which all wait for one another.
    pub is_in_cycle: bool,
}

/// The answer to `getWaits`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Waits {
    /// All waits that are known.
    pub waits: Vec<Wait>,
    /// The cycles among them: in each, every party waits for the next one, and the last for the first.
    /// Of several cycles that share a party, a shortest one.
    pub cycles: Vec<Vec<Party>>,
    /// Isolates that have not said what they wait for within the time: they compute or block.
    pub unanswered: u64,
    /// Idle isolates that were not asked what they wait for, since there are too many. The oldest are
    /// asked, and all that an isolate waits for, by way of others too, when it is looked at itself.
    pub not_asked: u64,
}

/// What a thread of the pool does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ThreadState {
    /// It has no work: it searches for some, or is parked.
    #[default]
    Idle,
    /// It runs an isolate.
    Running,
    /// It is inside of one long turn, or blocked, and another thread has its place.
    Stuck,
}

/// A thread of the pool.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Thread {
    /// Its number in the pool.
    pub index: u64,
    /// Its number in the operating system, where that is known.
    pub system_id: Option<u32>,
    /// What it does.
    pub state: ThreadState,
    /// The isolate that it runs.
    pub isolate: Option<Party>,
    /// Milliseconds for which the present turn has gone on, if the same one was seen before.
    pub turn_ms: Option<u64>,
    /// Turns that it has run.
    pub turns_total: u64,
    /// Isolates in its own queues.
    pub queued: u64,
    /// The mean length of its last slices.
    pub mean_slice_ns: u64,
}

/// The answer to `getThreads`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Threads {
    /// The threads that were started, by their numbers.
    pub threads: Vec<Thread>,
    /// Isolates that wait in the queue of all threads.
    pub queued: u64,
    /// The native ports of the process, which have threads of their own, in the order of their
    /// opening; at most 1,000.
    pub native_ports: Vec<NativePort>,
}

/// A native port: a function that handles messages on threads of the port's own, and may block.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct NativePort {
    /// `nativePorts/` and its number.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is closed, so that messages are refused.
    pub is_closed: bool,
    /// Messages that have not started.
    pub waiting: u64,
    /// Messages that are being handled.
    pub running: u64,
    /// The most messages that it handles at once.
    pub max_concurrent: u64,
    /// Its threads.
    pub threads: u64,
    /// Messages that have started.
    pub started_total: u64,
    /// The mean time of its last messages.
    pub mean_us: f64,
}

/// The answer to `getMailboxes`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Mailboxes {
    /// The mailboxes of the process, in the order in which they were made; at most 1,000.
    pub mailboxes: Vec<Mailbox>,
}

/// A mailbox, through which threads hand values over and wait for each other.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Mailbox {
    /// `mailboxes/` and its number.
    pub id: String,
    /// `oneSlot` or `rendezvous`.
    pub kind: String,
    /// The type of its messages; of a rendezvous, that of its requests.
    pub message: String,
    /// The place in the source that has made it.
    pub opened_at: String,
    /// Whether it is closed.
    pub is_closed: bool,
    /// Whether a message is in the slot; of a rendezvous, whether there is a request without a
    /// response, or a response that was not taken.
    pub is_full: bool,
    /// The parties that wait for room; of a rendezvous, for a response.
    pub putters: u64,
    /// The parties that wait for a message; of a rendezvous, for a request.
    pub takers: u64,
}

/// A distribution of times.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Latency {
    /// The number of calls that were timed.
    pub samples: u64,
    /// The mean.
    pub mean_us: f64,
    /// The median.
    pub p50_us: f64,
    /// Nine of ten are not longer.
    pub p90_us: f64,
    /// 99 of 100 are not longer.
    pub p99_us: f64,
    /// 999 of 1000 are not longer.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// How the calls of a pool or a method have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Outcomes {
    /// With a response.
    pub answered_total: u64,
    /// With an error of their handler.
    pub failed_total: u64,
    /// With a panic of their handler.
    pub panicked_total: u64,
    /// Cancelled by their caller or a shutdown.
    pub cancelled_total: u64,
    /// Their deadline passed.
    pub expired_total: u64,
    /// Their worker ended while they ran.
    pub died_total: u64,
    /// They were not admitted. Always zero for a method.
    pub rejected_total: u64,
    /// Dropped from a queue. Always zero for a method.
    pub shed_total: u64,
}

impl Outcomes {
    /// Returns the counts with their names.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("answered", self.answered_total),
            ("failed", self.failed_total),
            ("panicked", self.panicked_total),
            ("cancelled", self.cancelled_total),
            ("expired", self.expired_total),
            ("died", self.died_total),
            ("rejected", self.rejected_total),
            ("shed", self.shed_total),
        ]
    }
}

/// A row of the table of pools.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Pool {
    /// `pools/` and its number.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `serving`, `degraded`, `failed`, `draining` or `closed`.
    pub phase: String,
    /// Workers that take calls.
    pub ready: u64,
    /// Workers that are there.
    pub workers: u64,
    /// The most workers that it may have.
    pub most_workers: u64,
    /// Calls in its queue.
    pub queued: u64,
    /// Calls that wait for room in the queue.
    pub waiting: u64,
    /// Calls that its workers run.
    pub running: u64,
    /// Calls that were submitted.
    pub submitted_total: u64,
    /// How calls have ended.
    pub outcomes: Outcomes,
    /// Workers that were given up because they were stuck.
    pub stuck_total: u64,
    /// Times that the services of a worker were built again.
    pub rebuilt_total: u64,
    /// The wait of calls in the queue.
    pub queue_wait: Latency,
    /// The time of calls in their handlers.
    pub run_time: Latency,
    /// Both together.
    pub latency: Latency,
}

/// The answer to `getPools`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Pools {
    /// All pools that have not been dropped.
    pub pools: Vec<Pool>,
}

/// One pool in detail, the answer to `getPool`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PoolDetail {
    /// The row of the table.
    pub pool: Pool,
    /// Its workers, by number.
    pub workers: Vec<Worker>,
    /// Its methods, in the order of its contracts.
    pub methods: Vec<Method>,
    /// The calls that run, the oldest first; at most 1,000.
    pub calls: Vec<Call>,
    /// How many of its timed calls took how long.
    pub histograms: Histograms,
    /// Why it is slow, and what to do, in sentences.
    pub why: Vec<String>,
}

/// How many of the timed calls of a pool took how long, from its start on.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Histograms {
    /// The time for which they waited.
    pub queue_wait: Vec<Bucket>,
    /// The time that they ran, of those whose handlers did.
    pub run_time: Vec<Bucket>,
}

/// A part of a histogram: the calls whose time is in a range. The ranges of a list ascend, and those
/// without calls are left out.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Bucket {
    /// The end of the range, in microseconds. It begins at half of that.
    pub up_to_us: f64,
    /// The calls in this range alone.
    pub total: u64,
}

/// A worker of a pool.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Worker {
    /// Its number in the pool.
    pub index: u64,
    /// `starting`, `ready`, `suspect`, `retired`, `ended` or `lost`.
    pub condition: String,
    /// Why it was lost.
    pub fault: Option<String>,
    /// The number of times that its services were built before.
    pub incarnation: u64,
    /// The isolate of its services, if it is one of this process.
    pub isolate: Option<Party>,
    /// Whether that isolate is paused.
    pub is_paused: bool,
    /// Milliseconds for which the present turn of that isolate has gone on, if the same one was seen
    /// before.
    pub turn_ms: Option<u64>,
    /// Calls that it runs.
    pub running: u64,
    /// Calls that it has run to an end.
    pub calls_total: u64,
    /// Those of them that panicked.
    pub panicked_total: u64,
    /// Milliseconds on the CPU, if they are measured.
    pub cpu_total_ms: Option<u64>,
    /// Bytes that it holds, if they are measured.
    pub memory_bytes: Option<u64>,
    /// The time of its calls in their handlers.
    pub run_time: Latency,
}

/// A method of a pool.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Method {
    /// The contract.
    pub contract: String,
    /// The name.
    pub method: String,
    /// How its calls have ended.
    pub outcomes: Outcomes,
    /// The wait of its calls in the queue.
    pub queue_wait: Latency,
    /// The time of its calls in their handlers.
    pub run_time: Latency,
    /// Both together.
    pub latency: Latency,
}

/// A call that runs.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Call {
    /// The worker that runs it.
    pub worker: u64,
    /// `contract.method`.
    pub method: String,
    /// Milliseconds since the inspector first saw it run.
    pub seen_ms: u64,
    /// Whether it is a stream that waits for its reader, and so occupies no place.
    pub is_waiting: bool,
}

/// The answer to `getHistory`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// Samples, the oldest first.
    pub samples: Vec<Sample>,
}

/// How much an event matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Part of the usual life.
    #[default]
    Info,
    /// It deserves a look.
    Warning,
    /// Something has failed.
    Error,
}

/// Something that has happened.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Its number, one more than that of the event before.
    pub number: u64,
    /// Milliseconds since the inspector was started.
    pub at_ms: u64,
    /// `isolateSpawn`, `isolateExit`, `isolateError`, `isolateStuck`, `deadlock`, `panic`,
    /// `worker`, `poolPhase`, `slowCall`, `dump` or `control`; in a recording also `longTurn`.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// The id of its isolate or pool.
    pub subject: String,
    /// What has happened, in a sentence.
    pub text: String,
    /// The thread on which it happened: `thread` and its number in the pool, or its name. Absent if
    /// only the inspector has seen it.
    pub thread: Option<String>,
}

/// The answer to `getEvents`, and the content of a notification of the stream `Events`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Events {
    /// The events, the oldest first.
    pub events: Vec<Event>,
    /// Events that came since the number that was asked for, and are not there any more.
    pub dropped: u64,
    /// The number of the newest event of all.
    pub newest: u64,
}

/// What the flight recorder has, the answer to `getRecording`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Recording {
    /// The most events that are kept of each thread; 0 if nothing is recorded.
    pub per_thread: u64,
    /// The threads, by name.
    pub threads: Vec<RecordedThread>,
    /// The events of all threads, in the order in which they happened. Those that the log of events
    /// does not have are without a number.
    pub events: Vec<Event>,
}

/// A thread in the flight recorder.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RecordedThread {
    /// Its name, as events have it.
    pub name: String,
    /// Its events so far.
    pub recorded_total: u64,
    /// Those of them that are kept.
    pub kept: u64,
}

/// A call that has ended.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct EndedCall {
    /// Milliseconds since the inspector was started.
    pub at_ms: u64,
    /// The pool: its id and its name.
    pub pool: Party,
    /// The worker that ran it; absent for a call that was discarded in the queue.
    pub worker: Option<u64>,
    /// `contract.method`.
    pub method: String,
    /// How long it waited in the queue; absent for a call that was discarded there.
    pub wait_us: Option<f64>,
    /// How long its handler ran, if it did.
    pub run_us: Option<f64>,
    /// `answered`, `failed`, `panicked`, `cancelled`, `expired`, `died`, `rejected` or `shed`.
    pub outcome: String,
}

/// The content of a notification of the stream `Calls`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct EndedCalls {
    /// The calls, in the order of their ends within each pool.
    pub calls: Vec<EndedCall>,
    /// Calls that came too fast to be told.
    pub dropped: u64,
}

/// The answer to `profile`: how often each stack was seen.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    /// Milliseconds for which the program was watched.
    pub duration_ms: u64,
    /// Looks at all threads.
    pub looks: u64,
    /// The stacks.
    pub stacks: Vec<Stack>,
}

/// A stack of a profile.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Stack {
    /// From the outermost: the thread, the isolate, and the method of the call if there is one.
    pub frames: Vec<String>,
    /// The looks that have seen it.
    pub looks: u64,
}

/// The answer to a control method.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Done {
    /// What was done, in a sentence.
    pub text: String,
}

#[cfg(test)]
mod tests;
