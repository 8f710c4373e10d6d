//! The table of isolates, and one isolate in detail.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use insula_core::{
    Isolate as Handle, IsolateDetail as Told, IsolateId, IsolateKind, IsolateSnapshot,
    IsolateState, PortDetail, PortMode, Reply,
};
use insula_sync::Parker;

use super::events::{id_of, name_of};
use super::view::View;
use super::{Failure, Program};
use crate::model::{self, Isolate, IsolateDetail, Isolates, Party, Port, Ports, Question};
use crate::why;

/// The time for which an isolate is asked about itself.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);

/// The most ports of an isolate that are told with it.
const MOST_PORTS: usize = 200;

/// Isolates that are asked for the number of their ports.
const ASKED: usize = 1_000;

/// The rows of the table that are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    pub(crate) sort: Column,
    pub(crate) descends: bool,
    pub(crate) filter: String,
    pub(crate) state: Option<model::IsolateState>,
    /// Whether the isolates are asked for the number of their ports.
    pub(crate) ports: bool,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

/// The columns by which the table can be sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    Name,
    Id,
    State,
    Queued,
    Turns,
    TurnAge,
    Age,
    Cpu,
    Ports,
}

impl Column {
    /// Returns the column with this name in the protocol.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "id" => Self::Id,
            "state" => Self::State,
            "queued" => Self::Queued,
            "turnsTotal" => Self::Turns,
            "turnMs" => Self::TurnAge,
            "seenMs" => Self::Age,
            "cpuTotalMs" => Self::Cpu,
            "ports" => Self::Ports,
            _ => return None,
        })
    }
}

/// Returns the number in an id of the protocol, `isolates/12`.
pub(crate) fn number_in(id: &str, kind: &str) -> Result<u64, Failure> {
    let number = id
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('/'));
    let number = number.and_then(|number| number.parse::<u64>().ok());
    // As it was told, and not with a sign or with zeros.
    let number = number.filter(|number| id == format!("{kind}/{number}"));
    number.ok_or_else(|| Failure::Missing(format!("'{id}' is no id like '{kind}/1'")))
}

impl Program {
    /// Answers `getIsolates`.
    pub(crate) fn isolates(&self, query: &Query) -> Isolates {
        let now = self.now_ms();
        let view = self.recent();
        let all = &view.runtime.isolates;
        let mut found: Vec<_> = all.iter().filter(|it| fits(it, query)).collect();
        let asks = query.ports || query.sort == Column::Ports;
        let ports = match asks {
            true => self.count_ports(&found),
            false => HashMap::new(),
        };
        found.sort_by(|a, b| {
            let order = match query.sort {
                Column::Ports => ports.get(&a.id).cmp(&ports.get(&b.id)),
                column => compare(column, a, b, &view),
            };
            let order = if query.descends {
                order.reverse()
            } else {
                order
            };
            order.then(a.id.cmp(&b.id))
        });
        let rows = found.iter().skip(query.offset).take(query.limit);
        Isolates {
            total: all.len() as u64,
            matched: found.len() as u64,
            unanswered: match asks {
                true => found.len().min(ASKED).saturating_sub(ports.len()) as u64,
                false => 0,
            },
            isolates: rows
                .map(|it| Isolate {
                    ports: ports.get(&it.id).map(|ports| *ports as u64),
                    ..row(it, &view, now)
                })
                .collect(),
        }
    }

    /// Answers `getIsolate`.
    pub(crate) fn isolate(&self, id: &str) -> Result<IsolateDetail, Failure> {
        let handle = self.find(id)?;
        let row = self.row_of(&handle, id)?;
        let told = self.ask(std::slice::from_ref(&handle)).pop().flatten();
        let (waits, cycle) = self.waits_of(handle.id(), told.as_ref());
        let told_any = told.is_some();
        let told = told.unwrap_or_default();
        let now = self.runtime.now();
        let mut detail = IsolateDetail {
            isolate: row,
            has_answered: told_any,
            ports: told.ports.iter().map(port).collect(),
            ports_total: told.ports.len() as u64,
            timers: told.timers as u64,
            next_timer_ms: told
                .next_timer
                .map(|due| super::millis(due.saturating_duration_since(now))),
            tasks: told.tasks as u64,
            awaited_tasks: told.awaited_tasks as u64,
            questions: told
                .questions
                .iter()
                .map(|asked| Question {
                    asked: asked.map(|asked| self.party(asked)),
                })
                .collect(),
            microtasks: told.microtasks as u64,
            pauses: told.pauses as u64,
            waits,
            cycle,
            why: Vec::new(),
        };
        detail.why = why::of_isolate(&detail);
        // One that leaks ports has any number of them, and is looked at each second.
        let older = detail.ports.len().saturating_sub(MOST_PORTS);
        detail.ports.drain(..older);
        Ok(detail)
    }

    /// Answers `getPorts`.
    pub(crate) fn ports(&self, id: &str) -> Result<Ports, Failure> {
        let handle = self.find(id)?;
        let told = self.ask(&[handle]).pop().flatten();
        let told = told.ok_or_else(|| Failure::Failed(UNANSWERED.to_owned()))?;
        let ports = told.ports.iter().map(port).collect();
        Ok(Ports { ports })
    }

    /// Returns the isolate with an id.
    pub(crate) fn find(&self, id: &str) -> Result<Handle, Failure> {
        let number = number_in(id, "isolates")?;
        let isolate = self.runtime.isolate(IsolateId::from_number(number));
        isolate
            .ok_or_else(|| Failure::Missing(format!("there is no isolate '{id}', or it has ended")))
    }

    /// Returns an isolate with its name.
    pub(super) fn party(&self, id: IsolateId) -> Party {
        let name = match self.recent().isolate(id) {
            Some(isolate) => name_of(id, isolate.name.as_ref()),
            // It has ended, or was spawned after the look.
            None => {
                let isolate = self.runtime.isolate(id);
                isolate.map_or_else(|| id.to_string(), |isolate| isolate.name().to_string())
            }
        };
        let id = id_of(id);
        Party { id, name }
    }

    fn row_of(&self, handle: &Handle, id: &str) -> Result<Isolate, Failure> {
        let now = self.now_ms();
        let view = self.recent();
        let row = view.isolate(handle.id()).map(|it| row(it, &view, now));
        // One that was spawned after the look is not in it.
        row.ok_or_else(|| Failure::Missing(format!("'{id}' has just been spawned or has ended")))
    }

    /// Asks isolates about themselves, all at once. `None` for each that has not answered in time.
    pub(super) fn ask(&self, isolates: &[Handle]) -> Vec<Option<Told>> {
        ask_all(isolates, PATIENCE, Handle::inspect)
    }

    /// Asks isolates for the number of their ports: those that have come first, since a leak has
    /// its time.
    fn count_ports(&self, isolates: &[&IsolateSnapshot]) -> HashMap<IsolateId, usize> {
        let mut asked: Vec<_> = isolates.iter().map(|it| it.id).collect();
        asked.sort_unstable();
        asked.truncate(ASKED);
        let handles = self.runtime.isolates(&asked);
        let told = ask_all(&handles, PATIENCE, Handle::count_ports);
        let told = handles.iter().zip(told);
        told.filter_map(|(isolate, ports)| Some((isolate.id(), ports?)))
            .collect()
    }
}

/// Asks isolates all at once. `None` for each that has not answered within this time.
pub(super) fn ask_all<T: Send + 'static>(
    isolates: &[Handle],
    patience: Duration,
    ask: impl Fn(&Handle) -> Reply<T>,
) -> Vec<Option<T>> {
    let deadline = Instant::now() + patience;
    let replies: Vec<_> = isolates.iter().map(ask).collect();
    let woken = Arc::new(Woken(Parker::new()));
    let waker = Waker::from(woken.clone());
    let replies = replies.into_iter();
    replies
        .map(|reply| {
            let mut reply = pin!(reply);
            loop {
                match reply.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(told) => return told.ok(),
                    Poll::Pending => {
                        let left = deadline.saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            return None;
                        }
                        woken.0.park_timeout(left);
                    }
                }
            }
        })
        .collect()
}

const UNANSWERED: &str = "the isolate has not answered in time: it computes or blocks";

/// Unparks a thread that waits for an answer.
struct Woken(Parker);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn fits(isolate: &IsolateSnapshot, query: &Query) -> bool {
    let is_state = |state| query.state.is_none_or(|wanted| wanted == state);
    is_state(state(isolate.state)) && is_named(isolate, &query.filter)
}

/// Returns whether a part of an isolate's name or id is `filter`, which is in lower case.
fn is_named(isolate: &IsolateSnapshot, filter: &str) -> bool {
    filter.is_empty()
        || id_of(isolate.id).contains(filter)
        || name_of(isolate.id, isolate.name.as_ref())
            .to_lowercase()
            .contains(filter)
}

fn compare(column: Column, a: &IsolateSnapshot, b: &IsolateSnapshot, view: &View) -> Ordering {
    let seen = |isolate: &IsolateSnapshot| view.seen.isolates.get(&isolate.id.number());
    match column {
        // Those without a name are behind all others, by their numbers.
        Column::Name => match (&a.name, &b.name) {
            (Some(a), Some(b)) => a.cmp(b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        },
        Column::Id => a.id.cmp(&b.id),
        Column::State => a.state.cmp(&b.state),
        Column::Queued => a.queued.cmp(&b.queued),
        Column::Turns => seen(a)
            .map(|it| it.turns_total)
            .cmp(&seen(b).map(|it| it.turns_total)),
        // The longest turn has begun first, and `None` is no turn at all.
        Column::TurnAge => {
            let since = |isolate| seen(isolate).and_then(|it| it.turn_since_ms);
            let age = |isolate| since(isolate).map(|since| u64::MAX - since);
            age(a).cmp(&age(b))
        }
        Column::Cpu => view.cpu_ms(a).cmp(&view.cpu_ms(b)),
        // Compared by the caller, who has asked for them.
        Column::Ports => Ordering::Equal,
        Column::Age => seen(b)
            .map(|it| it.first_ms)
            .cmp(&seen(a).map(|it| it.first_ms)),
    }
}

fn row(isolate: &IsolateSnapshot, view: &View, now: u64) -> Isolate {
    let seen = view.seen.isolates.get(&isolate.id.number());
    let age = |since: u64| now.saturating_sub(since);
    Isolate {
        id: id_of(isolate.id),
        name: name_of(isolate.id, isolate.name.as_ref()),
        kind: match isolate.kind {
            IsolateKind::Pinned => model::IsolateKind::Pinned,
            IsolateKind::Root => model::IsolateKind::Root,
            _ => model::IsolateKind::Pooled,
        },
        group: isolate.group.as_ref().map(|group| group.to_string()),
        state: state(isolate.state),
        queued: u64::from(isolate.queued),
        control_queued: isolate.control_queued as u64,
        turns_total: seen.map_or(u64::from(isolate.turns), |it| it.turns_total),
        turn_ms: seen.and_then(|it| it.turn_since_ms).map(age),
        seen_ms: seen.map_or(0, |it| age(it.first_ms)),
        is_blocked: isolate.is_blocked,
        cpu_total_ms: view.cpu_ms(isolate),
        ports: None,
    }
}

fn state(state: IsolateState) -> model::IsolateState {
    match state {
        IsolateState::Runnable => model::IsolateState::Runnable,
        IsolateState::Running => model::IsolateState::Running,
        IsolateState::Paused => model::IsolateState::Paused,
        IsolateState::Ended => model::IsolateState::Ended,
        _ => model::IsolateState::Idle,
    }
}

fn port(port: &PortDetail) -> Port {
    let mode = match port.mode {
        PortMode::Listener => "listener",
        PortMode::Ignored => "ignored",
        _ => "buffered",
    };
    Port {
        id: format!("ports/{}", port.id.to_string().trim_start_matches("port-")),
        name: port.name.as_ref().map(|name| name.to_string()),
        opened_at: port.opened_at.to_string(),
        senders: port.senders as u64,
        mode: mode.to_owned(),
        buffered: port.buffered as u64,
        bound: port.bound.map(|(limit, ..)| limit as u64),
        used: port.bound.map(|(_, used, _)| used as u64),
        waiting_senders: port.bound.map_or(0, |(.., waiting)| waiting as u64),
        keeps_alive: port.keeps_alive,
    }
}

impl View {
    /// Returns the isolates that can be asked about themselves without a wait: the idle ones, the
    /// oldest first, and at most so many.
    /// Returns also how many more there are.
    pub(super) fn idle(&self, most: usize) -> (Vec<IsolateId>, usize) {
        let idle = self.runtime.isolates.iter();
        let idle = idle.filter(|it| it.state == IsolateState::Idle);
        let mut idle: Vec<_> = idle.map(|it| it.id).collect();
        idle.sort_unstable();
        let more = idle.len().saturating_sub(most);
        idle.truncate(most);
        (idle, more)
    }
}
