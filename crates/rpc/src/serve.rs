//! The direct endpoint: callers reach one isolate through its port, without a pool.

use std::time::Duration;

use insula_core::{IsolateId, ReceivePort, SendError, SendPort};

use crate::context::{Scope, WorkerId};
use crate::contract::{Admission, Contract, Endpoint, Refusal, Respond, Ticket};
use crate::error::{Reject, WorkerExit};

/// The time that a cancelled handler may go on under [`serve`] before its future is dropped.
const GRACE: Duration = Duration::from_secs(1);

/// Answers the calls that arrive at a port, one after the other, until the port is closed and
/// no caller is left.
///
/// # Ordering
/// Calls start in the order of the port and never overlap. A handler that calls its own
/// service waits for itself: give such a call a deadline.
///
/// # Cancellation
/// Dropping the future ends a running call with `WorkerDied`, maybe executed; calls that wait
/// in the port end when the port is dropped, not started.
pub async fn serve<R: Respond>(mut port: ReceivePort<R::Contract>, responder: R) {
    let scope = Scope {
        worker: WorkerId::new(0),
        incarnation: 0,
        grace: GRACE,
        ledger: None,
    };
    while let Some(call) = port.recv().await {
        // The caller has the result; this loop counts nothing.
        let _ended = responder.respond(call, &scope).await;
    }
}

/// A port takes calls in its own order. A bounded port that is full rejects them, since a
/// submission never waits.
impl<C: Contract> Endpoint<C> for SendPort<C> {
    fn submit(&self, call: C, _admission: Admission) -> Ticket {
        match self.send(call) {
            Ok(()) => {}
            Err(SendError::Full(call)) => {
                call.pending().refuse(Refusal::Rejected(Reject::QueueFull));
            }
            Err(SendError::Closed(call)) => {
                let exit = WorkerExit::Ended;
                call.pending()
                    .refuse(Refusal::WorkerDied { exit, worker: None });
            }
        }
        Ticket::NONE
    }

    /// The request has gone back to its caller; the empty call stays in the port until its turn.
    fn withdraw(&self, _ticket: Ticket) {}

    fn isolates(&self) -> Vec<IsolateId> {
        vec![self.isolate_id()]
    }
}
