//! Random programs of isolates, run on a runtime and compared with what they must do.
//!
//! A [`Program`] is a tree: a node is a piece of code that logs its label and then does its
//! operations. Some operations make further nodes run later, as a microtask, a timer, or the
//! handling of a message. A program of one isolate must leave exactly the trace of the naive
//! [`model`], on every seed ([`single`]). With several isolates some orders are open; the
//! properties that hold in all of them are checked ([`several`]).
//!
//! A failing program is shrunk by leaving out operations as long as it still fails. The rest is a
//! test case to be written down.

pub mod model;
mod rng;
pub mod several;
pub mod single;

use std::fmt;
use std::sync::Arc;

use insula_core::{Compat, ErrorPolicy, Priority};

use rng::Rng;

/// A piece of code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Logged first.
    pub label: u32,
    /// Done after that, in order.
    pub operations: Vec<Operation>,
}

/// An operation of a node. Targets and capabilities are small numbers: the index of a port or an
/// isolate, and one of three capabilities.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Schedules a microtask.
    Microtask(Arc<Node>),
    /// Starts a task, which is polled once.
    Task(Arc<Node>),
    /// Makes a timer with a delay in milliseconds.
    Timer(u64, Arc<Node>),
    /// Cancels the timer with this label, if it is pending.
    Cancel(u32),
    /// Sends a message.
    Send(usize, Arc<Node>),
    /// Closes a port.
    Close(usize),
    /// Pauses an isolate with a capability.
    Pause(usize, usize),
    /// Resumes an isolate with a capability.
    Resume(usize, usize),
    /// Asks an isolate to log a label.
    Ping(usize, Priority, u32),
    /// Kills an isolate.
    Kill(usize, Priority),
    /// Makes an interrupt check.
    Check,
    /// Lets a number of milliseconds pass.
    Compute(u64),
    /// Ends the isolate, without the rest of the node.
    Exit,
    /// Panics, without the rest of the node.
    Panic,
}

/// Code for one isolate, or for each of several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The isolates' entries.
    pub entries: Vec<Node>,
    /// The policy for panics in the isolate.
    pub error_policy: ErrorPolicy,
    /// The order of events to follow.
    pub compat: Compat,
}

/// Capabilities that a program uses.
pub const CAPABILITIES: usize = 3;
/// Ports of the isolate of a program with one isolate.
pub const PORTS: usize = 3;

impl Program {
    /// Returns a program of one isolate.
    pub fn single(seed: u64) -> Self {
        let mut generator = Generator::new(seed, PORTS, false);
        let compat = [Compat::Insula, Compat::Dart][generator.rng.below(2)];
        // The VM's quirk about an empty queue concerns messages, and a closed port queues none.
        generator.closes = compat == Compat::Insula;
        Self {
            entries: vec![generator.node(5)],
            error_policy: generator.error_policy(),
            compat,
        }
    }

    /// Returns a program of several isolates.
    pub fn several(seed: u64) -> Self {
        let mut generator = Generator::new(seed, 0, true);
        generator.targets = 2 + generator.rng.below(3);
        let entries = (0..generator.targets).map(|_| generator.node(4)).collect();
        Self {
            entries,
            error_policy: generator.error_policy(),
            compat: Compat::Insula,
        }
    }

    /// Returns the smallest program that still fails, found by leaving out one operation after the
    /// other.
    #[must_use]
    pub fn shrink(self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut smallest = self;
        loop {
            let smaller = (0..smallest.len())
                .map(|index| smallest.without(index))
                .find(|program| fails(program));
            // From the beginning again after each success: an operation that was needed before may
            // be left out now.
            match smaller {
                Some(program) => smallest = program,
                None => return smallest,
            }
        }
    }

    /// Returns the number of operations.
    pub fn len(&self) -> usize {
        self.entries.iter().map(Node::len).sum()
    }

    /// Returns whether the program does nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn without(&self, mut index: usize) -> Self {
        let mut program = self.clone();
        program.entries = self
            .entries
            .iter()
            .map(|entry| entry.without(&mut index))
            .collect();
        program
    }
}

impl Node {
    fn len(&self) -> usize {
        let below = |operation: &Operation| operation.node().map_or(0, |node| node.len());
        self.operations.iter().map(|it| 1 + below(it)).sum()
    }

    /// Leaves out the operation with this number, and counts down to it.
    fn without(&self, index: &mut usize) -> Self {
        let mut operations = Vec::new();
        for operation in &self.operations {
            let is_it = *index == 0;
            // Wraps once the operation is found, so that no later one matches.
            *index = index.wrapping_sub(1);
            if is_it {
                continue;
            }
            operations.push(match operation.node() {
                Some(node) => operation.with_node(node.without(index)),
                None => operation.clone(),
            });
        }
        Self {
            label: self.label,
            operations,
        }
    }
}

impl Operation {
    /// Returns the code that the operation makes run later.
    pub fn node(&self) -> Option<&Node> {
        match self {
            Self::Microtask(node)
            | Self::Task(node)
            | Self::Timer(_, node)
            | Self::Send(_, node) => Some(node),
            _ => None,
        }
    }

    fn with_node(&self, node: Node) -> Self {
        let node = Arc::new(node);
        match self {
            Self::Microtask(_) => Self::Microtask(node),
            Self::Task(_) => Self::Task(node),
            Self::Timer(delay, _) => Self::Timer(*delay, node),
            Self::Send(target, _) => Self::Send(*target, node),
            other => other.clone(),
        }
    }
}

struct Generator {
    rng: Rng,
    labels: u32,
    targets: usize,
    closes: bool,
    is_several: bool,
}

impl Generator {
    fn error_policy(&mut self) -> ErrorPolicy {
        if self.rng.below(3) == 0 {
            ErrorPolicy::End
        } else {
            ErrorPolicy::Continue
        }
    }

    fn new(seed: u64, targets: usize, is_several: bool) -> Self {
        Self {
            rng: Rng::new(seed),
            labels: 0,
            targets,
            closes: true,
            is_several,
        }
    }

    fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    fn node(&mut self, depth: usize) -> Node {
        let label = self.label();
        // At depth 0 this is 0, which bounds the tree.
        let count = self.rng.below(depth + 1);
        let operations = (0..count).map(|_| self.operation(depth - 1)).collect();
        Node { label, operations }
    }

    fn child(&mut self, depth: usize) -> Arc<Node> {
        Arc::new(self.node(depth))
    }

    fn operation(&mut self, depth: usize) -> Operation {
        let target = self.rng.below(self.targets);
        let capability = self.rng.below(CAPABILITIES);
        match self.rng.below(32) {
            0..6 => Operation::Microtask(self.child(depth)),
            6..8 => Operation::Task(self.child(depth)),
            8..11 => Operation::Timer(0, self.child(depth)),
            11..14 => Operation::Timer(1 + self.rng.below(5) as u64, self.child(depth)),
            14..20 => Operation::Send(target, self.child(depth)),
            // Also labels that belong to no timer, or to a later one: cancelling nothing must
            // change nothing.
            20 => Operation::Cancel(1 + self.rng.below(self.labels as usize + 4) as u32),
            21 if self.closes => Operation::Close(target),
            22..24 => Operation::Pause(target, capability),
            24 => Operation::Resume(target, capability),
            // Above all labels of nodes, so that a trace tells the two apart.
            25..27 => Operation::Ping(target, self.priority(), self.labels + 1000),
            // Rare, as exits are: the rest of the program would never run.
            27 if self.rng.below(2) == 0 => Operation::Kill(target, self.priority()),
            // Programs of several isolates also run on threads, where no virtual time can pass.
            28 if !self.is_several => Operation::Compute(1 + self.rng.below(6) as u64),
            29 if self.rng.below(6) == 0 => Operation::Exit,
            30 => Operation::Panic,
            _ => Operation::Check,
        }
    }

    fn priority(&mut self) -> Priority {
        [
            Priority::Immediate,
            Priority::BeforeNextEvent,
            Priority::AsEvent,
        ][self.rng.below(3)]
    }
}

/// One operation per line, indented by depth.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fatal = if self.error_policy == ErrorPolicy::End {
            ""
        } else {
            "not "
        };
        writeln!(f, "as {:?}, errors are {fatal}fatal", self.compat)?;
        self.entries
            .iter()
            .try_for_each(|entry| write_node(f, entry, 0))
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &Node, depth: usize) -> fmt::Result {
    writeln!(f, "{:depth$}node {}", "", node.label)?;
    for operation in &node.operations {
        let Some(node) = operation.node() else {
            writeln!(f, "{:depth$}- {operation:?}", "")?;
            continue;
        };
        let name = match operation {
            Operation::Microtask(_) => "Microtask".to_owned(),
            Operation::Task(_) => "Task".to_owned(),
            Operation::Timer(delay, _) => format!("Timer({delay})"),
            Operation::Send(target, _) => format!("Send to {target}"),
            _ => format!("{operation:?}"),
        };
        writeln!(f, "{:depth$}- {name}", "")?;
        write_node(f, node, depth + 2)?;
    }
    Ok(())
}
