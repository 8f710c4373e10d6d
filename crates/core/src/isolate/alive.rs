//! The report of what keeps an isolate alive.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::{Isolate, Priority};
use crate::event_loop::EventLoop;
use crate::event_loop::task::Task;
use crate::memory::Current;
use crate::port::reply::one_shot;
use crate::port::{PortId, PortSlot};

/// A reason for which an isolate has not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeepsAlive {
    /// An open port that has senders.
    Port {
        /// The port's ID.
        id: PortId,
        /// The port's name, if it has one.
        name: Option<Arc<str>>,
        /// The source location that opened the port.
        opened_at: &'static Location<'static>,
        /// The number of the port's senders.
        senders: usize,
    },
    /// Pending timers, and their number.
    Timers(usize),
    /// Local tasks that something outside of the isolate can wake, and their number.
    Tasks(usize),
    /// Unanswered questions, and their number.
    Questions(usize),
}

/// Returns a number with its noun.
fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

impl fmt::Display for KeepsAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port {
                id,
                name,
                opened_at,
                senders,
            } => {
                write!(f, "{id}")?;
                if let Some(name) = name {
                    write!(f, " '{name}'")?;
                }
                write!(
                    f,
                    ", opened at {opened_at}, with {}",
                    count(*senders, "sender")
                )
            }
            Self::Timers(timers) => f.write_str(&count(*timers, "timer")),
            Self::Tasks(tasks) => write!(f, "{} with a waker outside", count(*tasks, "task")),
            Self::Questions(questions) => f.write_str(&count(*questions, "unanswered question")),
        }
    }
}

impl Isolate {
    /// Returns what keeps the isolate alive: its open ports with senders, its timers, tasks and
    /// questions, as of its next interrupt check. Empty for an isolate that has ended. An isolate
    /// whose entry has not run yet answers before it runs.
    ///
    /// ```
    /// # insula_core::block_on(async {
    /// use insula_core::{Isolate, KeepsAlive, ReceivePort};
    /// let (isolate, port) = Isolate::builder().spawn_pair(|port: ReceivePort<()>| {
    ///     port.listen(|()| {});
    /// });
    /// let why = isolate.why_alive().await;
    /// assert!(matches!(why[..], [KeepsAlive::Port { senders: 1, .. }]));
    /// drop(port);
    /// isolate.exited().await;
    /// assert!(isolate.why_alive().await.is_empty());
    /// # });
    /// ```
    pub async fn why_alive(&self) -> Vec<KeepsAlive> {
        let (answer, reply) = one_shot();
        self.call(Priority::Immediate, move || {
            answer.send(Current::with(|isolate| isolate.map(reasons)));
        });
        reply.await.ok().flatten().unwrap_or_default()
    }
}

/// Returns the slots of the isolate's ports: the first one, which need not be open, and the others,
/// which are.
pub(crate) fn slots<'a>(
    isolate: Current<'a>,
    events: &'a EventLoop,
) -> impl Iterator<Item = &'a PortSlot> {
    // SAFETY: `ports` holds the slots of open ports, and an open port's slot is alive.
    let others = events.ports.values().map(|slot| unsafe { slot.as_ref() });
    std::iter::once(&isolate.core().port0).chain(others)
}

fn reasons(isolate: Current<'_>) -> Vec<KeepsAlive> {
    // Creates the event loop's state. Without it the isolate would report nothing, not even its
    // first port, which is stored elsewhere.
    isolate.with_events(|_| {});
    let events = isolate.local().events.borrow();
    let Some(events) = events.as_ref() else {
        return Vec::new();
    };
    let mut reasons: Vec<_> = slots(isolate, events)
        .filter(|slot| slot.may_receive())
        .map(|slot| KeepsAlive::Port {
            id: slot.id(),
            name: events.port_names.get(&slot.id().0).cloned(),
            opened_at: slot.opened_at(),
            senders: slot.senders(),
        })
        .collect();
    let tasks = events
        .tasks
        .values()
        .filter(|task| Task::may_be_woken(task));
    let counts = [
        KeepsAlive::Timers(events.timers.len()),
        KeepsAlive::Tasks(tasks.count()),
        KeepsAlive::Questions(events.replies.len()),
    ];
    reasons.extend(counts.into_iter().filter(|reason| {
        !matches!(
            reason,
            KeepsAlive::Timers(0) | KeepsAlive::Tasks(0) | KeepsAlive::Questions(0)
        )
    }));
    reasons
}
