//! What an isolate tells of itself, in its own words and on its own thread.

use std::panic::Location;
use std::sync::Arc;

use crate::event_loop::task::Task;
use crate::isolate::{Isolate, IsolateId, Priority, slots};
use crate::memory::Current;
use crate::port::reply::{Reply, one_shot};
use crate::port::{PortId, PortSlot};
use crate::runtime::time::Instant;

/// What only an isolate itself can tell of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct IsolateDetail {
    /// Its open ports, in the order of their opening.
    pub ports: Vec<PortDetail>,
    /// Its timers.
    pub timers: usize,
    /// The time at which the next timer with a delay is due.
    pub next_timer: Option<Instant>,
    /// Its tasks.
    pub tasks: usize,
    /// Those of them that something outside of the isolate can wake.
    pub awaited_tasks: usize,
    /// Its questions without an answer, each with the isolate that was asked. That one may have
    /// handed the question on. `None` for a question to a native port.
    pub questions: Vec<Option<IsolateId>>,
    /// Microtasks that wait.
    pub microtasks: usize,
    /// Pauses that have not been resumed.
    pub pauses: usize,
}

/// How a port receives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PortMode {
    /// It keeps messages until they are asked for.
    Buffered,
    /// It passes them to a closure.
    Listener,
    /// It drops them, since its listener was taken away.
    Ignored,
}

/// A port of an isolate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortDetail {
    /// Its ID.
    pub id: PortId,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// The place in the source that has opened it.
    pub opened_at: &'static Location<'static>,
    /// Its senders.
    pub senders: usize,
    /// How it receives.
    pub mode: PortMode,
    /// Messages that have arrived and were not asked for.
    pub buffered: usize,
    /// Of a bounded port: the most messages, the places in use, and the senders that wait for one.
    pub bound: Option<(usize, usize, usize)>,
    /// Whether it keeps its isolate alive.
    pub keeps_alive: bool,
}

impl Isolate {
    /// Asks the isolate for its ports, timers, tasks and questions, as of its next interrupt check.
    /// There is no reply if it ends before. One that computes or blocks without such a check does
    /// not answer until it is done.
    pub fn inspect(&self) -> Reply<IsolateDetail> {
        self.tell(detail)
    }

    /// Asks the isolate for the number of its open ports, under the conditions of
    /// [`inspect`](Self::inspect). Cheaper than all that an isolate can tell, which is long for one
    /// that leaks ports.
    pub fn count_ports(&self) -> Reply<usize> {
        self.tell(count_ports)
    }

    /// Asks the isolate for its questions without an answer, as [`IsolateDetail::questions`] has
    /// them, under the conditions of [`inspect`](Self::inspect), and as cheaply as
    /// [`count_ports`](Self::count_ports).
    pub fn questions(&self) -> Reply<Vec<Option<IsolateId>>> {
        self.tell(questions)
    }

    /// Has the isolate look at itself.
    fn tell<T: Send + 'static>(&self, look: fn(Current<'_>) -> T) -> Reply<T> {
        let (answer, reply) = one_shot();
        self.call(Priority::Immediate, move || {
            if let Some(told) = Current::with(|isolate| isolate.map(look)) {
                answer.send(told);
            }
        });
        reply
    }
}

fn questions(isolate: Current<'_>) -> Vec<Option<IsolateId>> {
    let events = isolate.local().events.borrow();
    let events = events.as_ref();
    events.map_or_else(Vec::new, |events| events.replies.asked().collect())
}

fn count_ports(isolate: Current<'_>) -> usize {
    // Creates the event loop's state, as below.
    isolate.with_events(|_| {});
    let events = isolate.local().events.borrow();
    let Some(events) = events.as_ref() else {
        return 0;
    };
    let open = slots(isolate, events).filter(|slot| slot.has_receiver());
    open.count()
}

fn detail(isolate: Current<'_>) -> IsolateDetail {
    // Creates the event loop's state, without which there is nothing but the first port.
    isolate.with_events(|_| {});
    let events = isolate.local().events.borrow();
    let Some(events) = events.as_ref() else {
        return IsolateDetail::default();
    };
    let open = slots(isolate, events).filter(|slot| slot.has_receiver());
    let awaited = events.tasks.values().filter(|it| Task::may_be_woken(it));
    IsolateDetail {
        ports: open
            .map(|slot| port(isolate, slot, events.port_names.get(&slot.id().0)))
            .collect(),
        timers: events.timers.len(),
        next_timer: events.timers.next_due(),
        tasks: events.tasks.len(),
        awaited_tasks: awaited.count(),
        questions: events.replies.asked().collect(),
        microtasks: events.microtasks.len(),
        pauses: events.control.pauses(),
    }
}

fn port(isolate: Current<'_>, slot: &PortSlot, name: Option<&Arc<str>>) -> PortDetail {
    PortDetail {
        id: slot.id(),
        name: name.cloned(),
        opened_at: slot.opened_at(),
        senders: slot.senders(),
        mode: slot.mode(),
        buffered: slot.buffered(isolate),
        bound: slot.usage(isolate),
        keeps_alive: slot.may_receive(),
    }
}
