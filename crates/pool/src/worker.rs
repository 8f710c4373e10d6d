//! One worker: an isolate that builds its state, runs its lanes, and builds its state again
//! after a panic.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_core::{Instant, Isolate, spawn_local, yield_now};
use insula_rpc::{Contract, How, Respond, Scope, WorkerId, catch, contain};

use crate::error::{FactoryError, WorkerFault};
use crate::shared::{Shared, within};
use crate::state::Place;
use crate::stats::LaneBooks;

/// A factory's view of the worker whose state it builds.
#[derive(Debug, Clone)]
pub struct WorkerContext {
    worker: WorkerId,
    incarnation: u32,
    pool: Arc<str>,
}

impl WorkerContext {
    /// Returns the worker's place in the pool.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Returns the number of times that its state was built before.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// The name of the pool.
    pub fn pool(&self) -> &str {
        &self.pool
    }
}

type Building<S> = Pin<Box<dyn Future<Output = Result<S, FactoryError>> + Send>>;

/// Builds the state of a worker.
pub(crate) type Factory<S> = Arc<dyn Fn(WorkerContext) -> Building<S> + Send + Sync>;

/// The values with which the isolate of a worker starts.
pub(crate) struct Seed<R: Respond> {
    pub(crate) shared: Arc<Shared<R::Contract>>,
    pub(crate) worker: WorkerId,
    pub(crate) lanes: usize,
    pub(crate) factory: Factory<R::Service>,
}

/// Tells the pool when the isolate ends, however it ends; also if it never ran, because its
/// runtime was shut down.
impl<R: Respond> Drop for Seed<R> {
    fn drop(&mut self) {
        self.shared.lose(self.worker.index(), WorkerFault::Ended);
    }
}

/// The entry of a worker's isolate.
pub(crate) async fn run<R: Respond>(seed: Seed<R>) {
    let Seed { shared, worker, .. } = &seed;
    if let Some(isolate) = Isolate::current() {
        shared.moved_in(worker.index(), isolate.id());
    }
    let mut incarnation = 0;
    loop {
        let service = match build(&seed, incarnation).await {
            Ok(service) => service,
            Err(fault) => return shared.lose(worker.index(), fault),
        };
        let responder = Arc::new(R::new(service));
        if shared.ready(worker.index()) {
            run_lanes(&seed, incarnation, &responder).await;
        }
        // The drop of a suspect state may well panic, and no caller is left to report that to.
        let _dropped = catch(move || drop(responder));
        match shared.rebuild(worker.index()) {
            Some(next) => incarnation = next,
            None => return,
        }
    }
}

async fn build<R: Respond>(seed: &Seed<R>, incarnation: u32) -> Result<R::Service, WorkerFault> {
    let pool = Arc::from(seed.shared.name.as_str());
    let cx = WorkerContext {
        worker: seed.worker,
        incarnation,
        pool,
    };
    let timeout = seed.shared.startup_timeout;
    let building = async { (seed.factory)(cx).await };
    match within(timeout, contain(building)).await {
        Some(Ok(Ok(service))) => Ok(service),
        Some(Ok(Err(error))) => Err(WorkerFault::Failed(error)),
        Some(Err(panic)) => Err(WorkerFault::Panicked {
            message: panic.message,
            location: panic.location,
        }),
        None => Err(WorkerFault::TimedOut(timeout)),
    }
}

/// Runs the lanes until they are told to close. The first one runs right here, so that a worker
/// with one lane costs no task.
async fn run_lanes<R: Respond>(seed: &Seed<R>, incarnation: u32, responder: &Arc<R>) {
    let lane = |lane| {
        let at = Place {
            worker: seed.worker.index(),
            lane,
        };
        let books = LaneBooks::new(&seed.shared.books[at.worker], lane);
        Lane {
            shared: Arc::clone(&seed.shared),
            responder: Arc::clone(responder),
            at,
            grace: seed.shared.grace,
            incarnation,
            books: Arc::new(books),
        }
    };
    for index in 1..seed.lanes {
        spawn_local(lane(index).run());
    }
    lane(0).run().await;
    seed.shared.quiet(seed.worker.index()).await;
}

/// One of the calls that a worker can run at once.
struct Lane<R: Respond> {
    shared: Arc<Shared<R::Contract>>,
    responder: Arc<R>,
    at: Place,
    grace: Duration,
    incarnation: u32,
    books: Arc<LaneBooks>,
}

impl<R: Respond> Lane<R> {
    async fn run(self) {
        let Self { shared, at, .. } = &self;
        let scope = Scope {
            worker: WorkerId::new(at.worker as u32),
            incarnation: self.incarnation,
            grace: self.grace,
            ledger: Some(Arc::clone(&self.books) as _),
        };
        // Everything below is polled by this one task, so this waker serves for all of it.
        poll_fn(|cx| {
            shared.enroll(*at, cx.waker());
            Poll::Ready(())
        })
        .await;
        let _enrolled = Enrolled(shared, *at);
        let (mut is_done, mut slice) = (false, Slice::default());
        while let Some(entry) = poll_fn(|_cx| shared.poll_next(*at, &mut is_done)).await {
            if let Some(queued_at) = entry.queued_at {
                self.books.begin(queued_at);
            }
            let ended = self.responder.respond(entry.call, &scope).await;
            is_done = true;
            if ended.how == How::Panicked {
                shared.suspect(at.worker);
            }
            if slice.is_over() {
                yield_now().await;
            }
        }
    }
}

/// A lane that is woken through the task that holds this.
struct Enrolled<'a, C: Contract>(&'a Shared<C>, Place);

impl<C: Contract> Drop for Enrolled<'_, C> {
    fn drop(&mut self) {
        self.0.dismiss(self.1);
    }
}

/// Limits the time for which a lane goes from call to call before it lets other isolates run,
/// among them the callers that it has just woken. Short calls share a slice; a long one ends it.
/// The clock is read twice per slice at most.
#[derive(Default)]
struct Slice {
    calls: u32,
    began: Option<Instant>,
}

impl Slice {
    const CALLS: u32 = 16;
    const LONG: Duration = Duration::from_micros(20);

    /// Counts a call that has ended.
    fn is_over(&mut self) -> bool {
        self.calls += 1;
        let is_over = match (self.calls, self.began) {
            (1, _) => {
                self.began = Some(Instant::now());
                false
            }
            (2, Some(began)) => Instant::now().saturating_duration_since(began) > Self::LONG,
            (calls, _) => calls >= Self::CALLS,
        };
        if is_over {
            *self = Self::default();
        }
        is_over
    }
}
