//! The threads of the pool.

use super::Program;
use crate::model::{Thread, ThreadState, Threads};

impl Program {
    /// Answers `getThreads`.
    pub(crate) fn threads(&self) -> Threads {
        let now = self.now_ms();
        let view = self.recent();
        let known = view.runtime.threads.iter().zip(&view.seen.threads);
        Threads {
            threads: known
                .map(|(thread, known)| Thread {
                    index: thread.index as u64,
                    system_id: thread.system_id,
                    state: match thread.isolate {
                        _ if thread.is_stuck => ThreadState::Stuck,
                        Some(_) => ThreadState::Running,
                        None => ThreadState::Idle,
                    },
                    isolate: thread.isolate.map(|isolate| self.party(isolate)),
                    turn_ms: known.turn_since_ms.map(|since| now.saturating_sub(since)),
                    turns_total: known.turns_total,
                    queued: thread.queued as u64,
                    mean_slice_ns: u64::from(thread.mean_slice_ns),
                })
                .collect(),
            queued: view.runtime.injected as u64,
        }
    }
}
