//! The rows of a screen, their order, and the cursor on them.

use std::cmp::Ordering;

use insula_inspect::model::{Isolate, Pool};

use super::{Model, Screen, Subject};
use crate::cli::SORTS;
use crate::table::Table;
use crate::tables;
use crate::text::clean;

/// The row that is selected. It follows its subject when the rows are sorted anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) index: usize,
    pub(super) key: Option<String>,
    /// The last row is selected, and stays so when rows are added.
    pub(super) is_at_end: bool,
}

/// The order of the isolates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sort {
    column: usize,
    is_descending: bool,
}

impl Default for Sort {
    /// As they were numbered.
    fn default() -> Self {
        let column = SORTS.iter().position(|it| *it == "id").unwrap_or(0);
        Self {
            column,
            is_descending: false,
        }
    }
}

impl Sort {
    /// Returns the parameter of `getIsolates`.
    pub(crate) fn parameter(self) -> String {
        let sign = if self.is_descending { "-" } else { "" };
        format!("{sign}{}", SORTS[self.column])
    }

    /// Selects the next column, or the one before. Words begin at A, and numbers at the largest.
    pub(super) fn step(&mut self, is_forward: bool) {
        let step = if is_forward { 1 } else { SORTS.len() - 1 };
        self.column = (self.column + step) % SORTS.len();
        self.is_descending = !matches!(SORTS[self.column], "name" | "id" | "state");
    }

    pub(super) fn reverse(&mut self) {
        self.is_descending = !self.is_descending;
    }

    fn compare(self, a: &Isolate, b: &Isolate) -> Ordering {
        let order = match SORTS[self.column] {
            "name" => a.name.cmp(&b.name),
            "state" => a.state.cmp(&b.state),
            "queued" => a.queued.cmp(&b.queued),
            "turnsTotal" => a.turns_total.cmp(&b.turns_total),
            "turnMs" => a.turn_ms.cmp(&b.turn_ms),
            "seenMs" => a.seen_ms.cmp(&b.seen_ms),
            "cpuTotalMs" => a.cpu_total_ms.cmp(&b.cpu_total_ms),
            "ports" => a.ports.cmp(&b.ports),
            _ => Ordering::Equal,
        };
        // Equal ones keep their places from one look to the next.
        let order = order.then_with(|| number(&a.id).cmp(&number(&b.id)));
        if self.is_descending {
            order.reverse()
        } else {
            order
        }
    }
}

fn number(id: &str) -> Option<u64> {
    id.rsplit_once('/')?.1.parse().ok()
}

impl Model {
    /// Returns the isolates that fit the filter, in their order. The server has sorted and filtered
    /// already, but a record has not, nor has the last answer before a key.
    pub(crate) fn sorted_isolates(&self) -> Vec<&Isolate> {
        let filter = self.filter.to_lowercase();
        let fits = |isolate: &&Isolate| {
            filter.is_empty()
                || isolate.name.to_lowercase().contains(&filter)
                || isolate.id.contains(&filter)
        };
        let mut isolates: Vec<_> = self.isolates.isolates.iter().filter(fits).collect();
        isolates.sort_by(|a, b| self.sort.compare(a, b));
        isolates
    }

    /// Returns the table of the screen. The overview has that of the pools.
    pub(crate) fn table(&self) -> Table {
        match self.screen {
            Screen::Overview | Screen::Pools => tables::pools(&self.pools),
            Screen::Isolates => tables::isolates(self.sorted_isolates()),
            Screen::Calls => tables::calls(&self.details),
            Screen::Waits => tables::waits(&self.waits.waits),
            Screen::Threads => tables::threads(&self.threads),
            Screen::Log => tables::events(&self.log),
        }
    }

    /// Puts the cursor back onto its row after the rows have changed.
    pub(super) fn follow_rows(&mut self) {
        let rows = self.table().rows;
        let last = rows.len().saturating_sub(1);
        let cursor = self.cursor_mut();
        let key = cursor.key.as_ref();
        let same = key.and_then(|key| {
            // Several rows may have one key, and then the place decides.
            let is_there = rows.get(cursor.index).is_some_and(|row| row.key == *key);
            if is_there {
                return Some(cursor.index);
            }
            rows.iter().position(|row| row.key == *key)
        });
        cursor.index = match same {
            Some(index) => index,
            None if cursor.is_at_end => last,
            None => cursor.index.min(last),
        };
        cursor.key = rows.get(cursor.index).map(|row| row.key.clone());
    }

    /// Moves the cursor to a row, or to the last one if there are fewer.
    pub(super) fn select(&mut self, index: usize) {
        let rows = self.table().rows;
        let last = rows.len().saturating_sub(1);
        let is_log = self.screen == Screen::Log;
        let cursor = self.cursor_mut();
        cursor.index = index.min(last);
        cursor.key = rows.get(cursor.index).map(|row| row.key.clone());
        cursor.is_at_end = is_log && cursor.index == last;
    }

    /// Returns the subject of the selected row, if it has one.
    pub(super) fn selected(&self) -> Option<Subject> {
        let key = self.selected_key()?;
        if key.starts_with("pools/") {
            Some(Subject::Pool(key))
        } else if key.starts_with("isolates/") {
            Some(Subject::Isolate(key))
        } else {
            None
        }
    }

    fn selected_key(&self) -> Option<String> {
        let rows = self.table().rows;
        let row = rows.get(self.cursor().index)?;
        if self.screen != Screen::Log {
            return Some(row.key.clone());
        }
        let number: u64 = row.key.parse().ok()?;
        let event = self.log.iter().find(|it| it.number == number)?;
        Some(event.subject.clone())
    }

    /// Returns the name of an isolate or a pool, as far as it is known.
    pub(super) fn name_of(&self, subject: &Subject) -> Option<String> {
        let name = match subject {
            Subject::Isolate(id) => {
                let opened = self.opened.iter().filter_map(|it| it.isolate.as_ref());
                let rows = self.isolates.isolates.iter();
                let mut all = opened.map(|it| &it.isolate).chain(rows);
                all.find(|it| it.id == *id).map(|it| &it.name)
            }
            Subject::Pool(id) => self.pool(id).map(|pool| &pool.name),
        };
        name.map(|name| clean(name))
    }

    /// Returns the row of a pool.
    pub(super) fn pool(&self, id: &str) -> Option<&Pool> {
        let opened = self.opened.iter().filter_map(|it| it.pool.as_ref());
        // While its details are open, the table of the screen below them may be of something else.
        let details = opened.chain(&self.details).map(|it| &it.pool);
        details.chain(&self.pools).find(|it| it.id == id)
    }
}
