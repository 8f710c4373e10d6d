//! What a case and its handlers tell each other: gates, notes and counts.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use insula_sync::Mutex;

/// Shared by a case and the handlers of all its services. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    open: BTreeSet<u64>,
    notes: Vec<String>,
    /// Items that a writer has made.
    made: u64,
    /// Items that a reader has asked for: at least as many as it was given.
    asked: u64,
    /// The most by which `made` was ahead of `asked`.
    lead: u64,
    waiting: Vec<Waker>,
}

impl Stage {
    /// Opens a gate for good.
    pub(crate) fn open(&self, gate: u64) {
        self.change(|state| {
            state.open.insert(gate);
        });
    }

    /// Waits until a gate is open.
    pub(crate) async fn opened(&self, gate: u64) {
        self.until(|state| state.open.contains(&gate)).await;
    }

    pub(crate) fn note(&self, line: impl Into<String>) {
        let line = line.into();
        self.change(|state| state.notes.push(line));
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.0.lock().notes.clone()
    }

    pub(crate) fn has_noted(&self, line: &str) -> bool {
        self.0.lock().notes.iter().any(|note| note == line)
    }

    /// Waits until a note was taken.
    pub(crate) async fn noted(&self, line: &str) {
        self.noted_times(line, 1).await;
    }

    pub(crate) async fn noted_times(&self, line: &str, times: usize) {
        let is_line = |note: &&String| *note == line;
        self.until(|state| state.notes.iter().filter(is_line).count() >= times)
            .await;
    }

    /// A writer makes an item.
    pub(crate) fn make(&self) {
        self.change(|state| {
            state.made += 1;
            state.lead = state.lead.max(state.made.saturating_sub(state.asked));
        });
    }

    /// A reader is about to ask for an item.
    pub(crate) fn ask(&self) {
        self.change(|state| state.asked += 1);
    }

    pub(crate) async fn made_times(&self, times: u64) {
        self.until(|state| state.made >= times).await;
    }

    /// The most items that were ever made and not asked for.
    pub(crate) fn lead(&self) -> u64 {
        self.0.lock().lead
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock();
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = self.0.lock();
            if holds(&state) {
                return Poll::Ready(());
            }
            state.waiting.push(waker);
            Poll::Pending
        })
        .await;
    }
}
