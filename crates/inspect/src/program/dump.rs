//! Everything that is known of the program, as one document.

use serde_json::{Value, json};

use super::isolates::{Column, Query};
use super::{HISTORY, Program};

/// Isolates in a dump: those with the longest queues.
const ISOLATES: usize = 10_000;

/// Events in a dump: the newest.
const EVENTS: u64 = 1_000;

/// Events of the flight recorder in a dump: the newest.
const RECORDED: usize = 10_000;

impl Program {
    /// Returns a dump. Its members are named after the methods of the protocol that return the same.
    pub(crate) fn dump(&self) -> Value {
        let query = Query {
            sort: Column::Queued,
            descends: true,
            filter: String::new(),
            state: None,
            ports: false,
            offset: 0,
            limit: ISOLATES,
        };
        let pools: Vec<_> = self
            .pools()
            .pools
            .iter()
            .filter_map(|pool| self.pool(&pool.id).ok())
            .collect();
        let newest = self.events(u64::MAX, 0).newest;
        json!({
            "version": Self::version(),
            "vm": self.vm(false),
            "isolates": self.isolates(&query),
            "threads": self.threads(),
            "mailboxes": Self::mailboxes(),
            "waits": self.waits(),
            "pools": pools,
            "history": self.history(HISTORY),
            "recording": self.recording(RECORDED),
            "events": self.events(newest.saturating_sub(EVENTS), EVENTS as usize),
        })
    }
}
