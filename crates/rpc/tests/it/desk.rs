//! An endpoint that keeps its calls on a desk.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use insula_core::block_on;
use insula_rpc::{
    Admission, CallInfo, CancelledBy, Contract, Ended, Endpoint, How, Ledger, Respond, Scope,
    Ticket, WorkerId,
};
use insula_sync::Mutex;

use crate::probe::{ProbeCaller, ProbeRequest, ProbeResponder, Recorder};

#[derive(Debug, Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Pile>>);

#[derive(Debug, Default)]
struct Pile {
    calls: Vec<ProbeRequest>,
    admissions: Vec<Admission>,
    withdrawn: Vec<u64>,
}

impl Endpoint<ProbeRequest> for Desk {
    fn submit(&self, call: ProbeRequest, info: CallInfo) -> Ticket {
        let mut pile = self.0.lock();
        pile.calls.push(call);
        pile.admissions.push(info.admission);
        Ticket(pile.calls.len() as u64)
    }

    fn withdraw(&self, ticket: Ticket, _by: CancelledBy) {
        self.0.lock().withdrawn.push(ticket.0);
    }
}

impl Desk {
    pub(crate) fn caller(&self) -> ProbeCaller {
        ProbeCaller::over(self.clone())
    }

    /// The oldest call.
    pub(crate) fn take(&self) -> ProbeRequest {
        self.0.lock().calls.remove(0)
    }

    /// The newest call.
    pub(crate) fn take_last(&self) -> ProbeRequest {
        self.0.lock().calls.pop().expect("a call")
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().calls.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn withdrawn(&self) -> Vec<u64> {
        self.0.lock().withdrawn.clone()
    }

    pub(crate) fn admissions(&self) -> Vec<Admission> {
        self.0.lock().admissions.clone()
    }
}

/// A worker without a pool around it.
pub(crate) struct Worker {
    responder: ProbeResponder<Recorder>,
    scope: Scope,
}

impl Worker {
    pub(crate) fn new(recorder: &Recorder, grace: Duration) -> Self {
        let scope = Scope::new("desk".into(), WorkerId::new(5), 2, grace);
        Self {
            responder: ProbeResponder::new(recorder.clone()),
            scope,
        }
    }

    /// Counts the ends of its calls.
    pub(crate) fn counting(recorder: &Recorder, ledger: &Arc<Ends>) -> Self {
        let mut worker = Self::new(recorder, Duration::ZERO);
        let ledger: Arc<Ends> = Arc::clone(ledger);
        worker.scope = worker.scope.at(None, Some(ledger as _));
        worker
    }

    /// Runs a call to its end.
    pub(crate) fn run(&self, call: ProbeRequest) -> Ended {
        block_on(self.start(call))
    }

    /// The future of a running call.
    pub(crate) fn start(&self, call: ProbeRequest) -> Pin<Box<dyn Future<Output = Ended> + '_>> {
        assert_eq!(ProbeRequest::VERSION, 2);
        Box::pin(self.responder.respond(call, &self.scope))
    }
}

/// The ends of calls, as a worker counts them.
#[derive(Default)]
pub(crate) struct Ends(pub(crate) Mutex<Vec<How>>);

impl Ledger for Ends {
    fn record(&self, ended: &Ended) {
        self.0.lock().push(ended.how);
    }
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that says whether it was woken.
#[derive(Debug, Default)]
pub(crate) struct Woken(AtomicBool);

impl Woken {
    /// Polls with this waker.
    pub(crate) fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        let waker = self.clone().into();
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    /// Returns whether it was woken since the last look.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
