//! The threads of the pool, the native ports, which have threads of their own, and the mailboxes, at
//! which threads wait.

use insula_core::{MailboxKind, MailboxSnapshot, NativePortSnapshot, mailboxes, native_ports};

use super::Program;
use crate::model::{Mailbox, Mailboxes, NativePort, Thread, ThreadState, Threads};

/// Native ports, or mailboxes, that are listed.
const LISTED: usize = 1_000;

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
            native_ports: native_ports(LISTED).into_iter().map(native_port).collect(),
        }
    }
}

impl Program {
    /// Answers `getMailboxes`.
    pub(crate) fn mailboxes() -> Mailboxes {
        let mailboxes = mailboxes(LISTED).into_iter().map(mailbox).collect();
        Mailboxes { mailboxes }
    }
}

fn mailbox(mailbox: MailboxSnapshot) -> Mailbox {
    let kind = match mailbox.kind {
        MailboxKind::OneSlot => "oneSlot",
        _ => "rendezvous",
    };
    Mailbox {
        id: format!("mailboxes/{}", mailbox.number),
        kind: kind.to_owned(),
        message: mailbox.message.to_owned(),
        opened_at: mailbox.opened_at.to_string(),
        is_closed: mailbox.is_closed,
        is_full: mailbox.is_full,
        putters: mailbox.putters as u64,
        takers: mailbox.takers as u64,
    }
}

fn native_port(port: NativePortSnapshot) -> NativePort {
    NativePort {
        id: format!("nativePorts/{}", port.number),
        name: port.name.into(),
        is_closed: !port.is_open,
        waiting: port.waiting as u64,
        running: port.running as u64,
        max_concurrent: port.max_concurrent as u64,
        threads: port.threads as u64,
        started_total: port.started_total,
        mean_us: port.mean_time.as_secs_f64() * 1e6,
    }
}
