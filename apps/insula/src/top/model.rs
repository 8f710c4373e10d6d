//! The state of the screen: what is known of the program, and what the user looks at.
//!
//! It is a pure state machine. [`Model::on_key`] and [`Model::on_look`] change it and return what is
//! to be done; the terminal and the connection are elsewhere. It never keeps more than a bounded
//! number of samples, events and rows.

mod keys;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use insula_inspect::model::{
    Event, IsolateDetail, Isolates, Pool, PoolDetail, Sample, Threads, Vm, Waits,
};

use crate::look::{Look, Part, Subject, Wanted};
use crate::order::Order;

pub(crate) use rows::{Cursor, Sort};

/// The samples of ten minutes.
const MAX_SAMPLES: usize = 600;

/// The most events in the log.
const MAX_LOG: usize = 5_000;

/// The most isolates that the server returns at once.
const MAX_ISOLATES: u64 = 1_000;

/// A view of the program, which fills the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Screen {
    Overview,
    Isolates,
    Pools,
    Calls,
    Waits,
    Threads,
    Log,
}

impl Screen {
    pub(crate) const ALL: [Self; 7] = [
        Self::Overview,
        Self::Isolates,
        Self::Pools,
        Self::Calls,
        Self::Waits,
        Self::Threads,
        Self::Log,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Isolates => "isolates",
            Self::Pools => "pools",
            Self::Calls => "calls",
            Self::Waits => "waits",
            Self::Threads => "threads",
            Self::Log => "log",
        }
    }

    /// Returns its place among all, from zero.
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|it| *it == self).unwrap_or(0)
    }

    fn parts(self) -> Vec<Part> {
        match self {
            Self::Overview => vec![Part::Pools, Part::Threads],
            Self::Isolates => vec![Part::Isolates],
            Self::Pools => vec![Part::Pools],
            Self::Calls => vec![Part::PoolDetails],
            Self::Waits => vec![Part::Waits],
            Self::Threads => vec![Part::Threads],
            Self::Log => Vec::new(),
        }
    }
}

/// The origin of the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// A program that runs.
    Live,
    /// A record, of which one look is shown.
    Record {
        at: usize,
        looks: usize,
        is_playing: bool,
    },
}

/// The meaning of the keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// They move and choose.
    Browse,
    /// Any key ends the help.
    Help,
    /// They write the filter; `before` is the one to return to.
    Filter { before: String },
    /// They answer the question whether to carry out the order.
    Question { order: Order, text: String },
}

/// A step that the caller carries out.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Action {
    None,
    Quit,
    /// Draw all of the screen anew, over what another program has written there.
    Redraw,
    /// Stop until the shell continues this command.
    Suspend,
    /// Ask the program anew, since the user looks at something else.
    Refresh,
    Carry(Order),
    /// Show another look of the record.
    Show(usize),
}

/// The isolate or the pool in the details.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Opened {
    pub(crate) subject: Subject,
    pub(crate) isolate: Option<IsolateDetail>,
    pub(crate) pool: Option<PoolDetail>,
    pub(crate) is_gone: bool,
    /// The lines above the edge of the screen.
    pub(crate) scroll: usize,
}

/// All that the screen shows.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) vm: Vm,
    pub(crate) samples: VecDeque<Sample>,
    pub(crate) log: VecDeque<Event>,
    /// Events that were not delivered.
    pub(crate) dropped: u64,
    pub(crate) isolates: Isolates,
    pub(crate) pools: Vec<Pool>,
    pub(crate) details: Vec<PoolDetail>,
    pub(crate) waits: Waits,
    pub(crate) threads: Threads,
    pub(crate) opened: Option<Opened>,
    pub(crate) screen: Screen,
    pub(crate) mode: Mode,
    pub(crate) sort: Sort,
    pub(crate) filter: String,
    pub(crate) source: Source,
    pub(crate) is_frozen: bool,
    /// Why there will be no more data.
    pub(crate) lost: Option<String>,
    /// The outcome of the last key or of the last order.
    pub(crate) notice: Option<String>,
    pub(crate) has_data: bool,
    cursors: [Cursor; Screen::ALL.len()],
    /// The rows of the screen, for the keys that turn pages.
    page: usize,
}

impl Model {
    pub(crate) fn new(source: Source) -> Self {
        let mut cursors: [Cursor; Screen::ALL.len()] = Default::default();
        cursors[Screen::Log.index()].is_at_end = true;
        Self {
            vm: Vm::default(),
            samples: VecDeque::new(),
            log: VecDeque::new(),
            dropped: 0,
            isolates: Isolates::default(),
            pools: Vec::new(),
            details: Vec::new(),
            waits: Waits::default(),
            threads: Threads::default(),
            opened: None,
            screen: Screen::Overview,
            mode: Mode::Browse,
            sort: Sort::default(),
            filter: String::new(),
            source,
            is_frozen: false,
            lost: None,
            notice: None,
            has_data: false,
            cursors,
            page: 10,
        }
    }

    /// Returns what the next look should ask for.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            parts: self.screen.parts(),
            opened: self.opened.as_ref().map(|it| it.subject.clone()),
            sort: self.sort.parameter(),
            filter: self.filter.clone(),
            // Most lists are read from their start.
            limit: match self.cursor().index {
                0..100 => 200,
                _ => MAX_ISOLATES,
            },
            since: self.log.back().map_or(0, |event| event.number),
            samples: match self.samples.len() {
                0 => 600,
                _ => 60,
            },
        }
    }

    /// Returns whether the program can be asked.
    pub(crate) fn is_live(&self) -> bool {
        self.source == Source::Live && self.lost.is_none()
    }

    /// Takes what the program has answered.
    pub(crate) fn on_look(&mut self, look: Look) {
        self.has_data = true;
        let now = look.vm.now;
        self.vm = look.vm;
        for sample in look.samples.into_iter().chain([now]) {
            if self
                .samples
                .back()
                .is_none_or(|last| last.at_ms < sample.at_ms)
            {
                self.samples.push_back(sample);
            }
        }
        let excess = self.samples.len().saturating_sub(MAX_SAMPLES);
        self.samples.drain(..excess);
        self.dropped = self.dropped.saturating_add(look.events.dropped);
        self.append(look.events.events);
        let Look {
            isolates,
            pools,
            pool_details,
            waits,
            threads,
            ..
        } = look;
        replace(&mut self.isolates, isolates);
        replace(&mut self.pools, pools);
        replace(&mut self.details, pool_details);
        replace(&mut self.waits, waits);
        replace(&mut self.threads, threads);
        if let Some(opened) = &mut self.opened {
            opened.take(look.isolate, look.pool, look.is_gone);
        }
        self.follow_rows();
    }

    fn append(&mut self, events: Vec<Event>) {
        let was_at_end = self.cursors[Screen::Log.index()].is_at_end;
        for event in events {
            let is_new = self
                .log
                .back()
                .is_none_or(|last| last.number < event.number);
            if is_new {
                self.log.push_back(event);
            }
        }
        let excess = self.log.len().saturating_sub(MAX_LOG);
        self.log.drain(..excess);
        if was_at_end {
            self.cursors[Screen::Log.index()].key = None;
        }
    }

    /// Takes the end of the connection. What is on the screen stays.
    pub(crate) fn on_lost(&mut self, why: &str) {
        self.lost = Some(why.to_owned());
        self.mode = Mode::Browse;
    }

    /// Takes what became of an order, or why a look failed.
    pub(crate) fn on_notice(&mut self, text: &str) {
        self.notice = Some(text.to_owned());
    }

    /// Takes the number of rows that the screen has for a table.
    pub(crate) fn on_page(&mut self, rows: usize) {
        self.page = rows.max(1);
    }

    /// Shows a look of a record, with the samples and events of those before it.
    pub(crate) fn show(&mut self, record: &[Look], at: usize) {
        let Some(look) = record.get(at) else {
            return;
        };
        if let Source::Record { at: current, .. } = &mut self.source {
            *current = at;
        }
        self.samples.clear();
        self.log.clear();
        self.dropped = 0;
        let past = &record[..at];
        let first = past.len().saturating_sub(MAX_SAMPLES);
        self.samples
            .extend(past[first..].iter().map(|look| look.vm.now));
        for look in past {
            self.dropped = self.dropped.saturating_add(look.events.dropped);
            self.append(look.events.events.clone());
        }
        let mut look = look.clone();
        if let Some(opened) = &self.opened {
            look.open(&opened.subject);
        }
        self.on_look(look);
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        &self.cursors[self.screen.index()]
    }

    fn cursor_mut(&mut self) -> &mut Cursor {
        &mut self.cursors[self.screen.index()]
    }
}

impl Look {
    /// Takes the details of a subject from what was recorded.
    fn open(&mut self, subject: &Subject) {
        match subject {
            Subject::Isolate(id) => {
                let isolates = self.isolates.iter().flat_map(|it| &it.isolates);
                let isolate = isolates.into_iter().find(|it| it.id == *id).cloned();
                self.isolate = isolate.map(|isolate| IsolateDetail {
                    isolate,
                    why: vec!["A record has no details of isolates.".to_owned()],
                    ..IsolateDetail::default()
                });
                self.is_gone = self.isolate.is_none();
            }
            Subject::Pool(id) => {
                let pools = self.pool_details.iter().flatten();
                self.pool = pools.into_iter().find(|it| it.pool.id == *id).cloned();
                self.is_gone = self.pool.is_none();
            }
        }
    }
}

impl Opened {
    fn new(subject: Subject) -> Self {
        Self {
            subject,
            isolate: None,
            pool: None,
            is_gone: false,
            scroll: 0,
        }
    }

    fn take(&mut self, isolate: Option<IsolateDetail>, pool: Option<PoolDetail>, is_gone: bool) {
        // An answer may be about what was open before.
        match &self.subject {
            Subject::Isolate(id) => {
                if let Some(isolate) = isolate.filter(|it| it.isolate.id == *id) {
                    self.isolate = Some(isolate);
                    self.is_gone = false;
                }
            }
            Subject::Pool(id) => {
                if let Some(pool) = pool.filter(|it| it.pool.id == *id) {
                    self.pool = Some(pool);
                    self.is_gone = false;
                }
            }
        }
        self.is_gone |= is_gone;
    }
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
