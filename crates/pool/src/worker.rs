//! One worker: an isolate that builds its state, runs its lanes, and builds its state again
//! after a panic.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use insula_compute::Compute;
use insula_core::{
    Instant, Isolate, IsolateId, ReplyTo, SliceWatch, one_shot, spawn_local, watch_slices,
    yield_now,
};
use insula_rpc::{Calls, Ended, How, Place, Respond, Scope, WorkerId, catch, contain};
use insula_sync::Mutex;

use crate::dispatch::Place as At;
use crate::dispatch::Signs;
use crate::error::WorkerFault;
use crate::health::{Heartbeat, Readiness, Resident};
use crate::kind::Starting;
use crate::lifecycle::Start;
use crate::memory::{CallMemory, Dropper, Pressure, StateMemory};
use crate::observe::discards::DiscardReason;
use crate::shared::{Shared, unless, within};
use crate::stats::books::{LaneBooks, StateBooks};

/// A factory's view of the worker whose state it builds.
#[derive(Debug, Clone)]
pub struct WorkerContext {
    worker: WorkerId,
    incarnation: u32,
    pool: Arc<str>,
    readiness: Readiness,
    memory: Option<Arc<StateMemory>>,
    dropper: Dropper,
    compute: Compute,
    places: usize,
    grace: Duration,
    stuck_after: Option<Duration>,
    isolate: Option<Isolate>,
    epitaph: Epitaph,
}

/// The reason for which a worker is ended by its own service.
pub(crate) type Epitaph = Arc<Mutex<Option<String>>>;

impl WorkerContext {
    /// Returns the worker's place in the pool.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Returns the number of times that its state was built before, failures included.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Returns the number of calls that the worker runs at once.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Returns the time that a cancelled handler may go on.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Returns the time after which a worker is stuck that computes or blocks, if the pool
    /// [looks for that](crate::Health::stuck_after).
    pub fn stuck_after(&self) -> Option<Duration> {
        self.stuck_after
    }

    /// Ends the worker with a [fault](crate::WorkerFault::GivenUp): what its service stands for has
    /// ended, such as a process or a connection. The pool's [policy](crate::Restart) decides whether
    /// it starts again. May be called from any thread, and changes nothing if this state of the worker
    /// has ended.
    pub fn end(&self, why: impl Into<String>) {
        self.epitaph.lock().get_or_insert(why.into());
        if let Some(isolate) = &self.isolate {
            isolate.kill();
        }
    }

    /// Returns the readiness of the worker, with which its services can stop taking calls for a while:
    /// as long as a database is away, for example. It may be kept, and used from any thread.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Has `hook` told when the worker comes under more [pressure](Pressure) of memory than before, so
    /// that its services can drop what they can make again. It is called in the worker's isolate, after
    /// a call. A panic of it is discarded. Without [`Memory`](crate::Memory) it is never called.
    pub fn on_memory_pressure(&self, hook: impl FnMut(Pressure) + Send + 'static) {
        if let Some(memory) = &self.memory {
            memory.add(Box::new(hook));
        }
    }

    /// Returns a function that drops values: on a thread of its own with
    /// [`Reclaim::LowLatency`](crate::Reclaim::LowLatency), otherwise at once. For values whose drop takes long.
    /// If too many wait there, one is dropped at once. A panic of a drop is discarded; one that ends its
    /// isolate ends it.
    pub fn drop_later<T: Send + 'static>(&self) -> impl Fn(T) + Clone + Send + Sync + 'static {
        let dropper = self.dropper.clone();
        move |value| dropper.drop_later(value)
    }

    /// Returns a handle for computations on several cores, as wide as the cores that the other workers
    /// of this pool leave free at the moment. Keep it in the service.
    pub fn compute(&self) -> Compute {
        self.compute.clone()
    }

    /// Returns the name of the pool.
    pub fn pool(&self) -> &str {
        &self.pool
    }
}

/// Builds the state of a worker: its services, behind a responder.
pub(crate) type Factory<R> = Arc<dyn Fn(WorkerContext) -> Starting<R> + Send + Sync>;

/// The values with which the isolate of a worker's state starts.
pub(crate) struct Seed<R: Respond> {
    shared: Arc<Shared<R::Contract>>,
    worker: WorkerId,
    incarnation: u32,
    factory: Factory<R>,
    /// The isolate, once it runs.
    isolate: Option<IsolateId>,
    /// If its pool watches its workers.
    heartbeat: Option<Arc<Heartbeat>>,
    /// If memory is measured.
    memory: Option<Arc<StateMemory>>,
    /// It is a first state, and not built yet: with it the build of the pool fails.
    fails_build: bool,
    /// Another isolate has the worker's next state.
    is_succeeded: bool,
    epitaph: Epitaph,
}

impl<R: Respond> Seed<R> {
    /// The first state of a worker, with which its pool is built.
    pub(crate) fn first(
        shared: Arc<Shared<R::Contract>>,
        worker: usize,
        factory: Factory<R>,
    ) -> Self {
        let incarnation = 0;
        let start = Start {
            worker,
            incarnation,
        };
        let mut seed = Self::again(shared, start, factory);
        seed.fails_build = true;
        seed
    }

    /// A later state of a worker. Its drop tells the pool of its end.
    pub(crate) fn again(
        shared: Arc<Shared<R::Contract>>,
        start: Start,
        factory: Factory<R>,
    ) -> Self {
        shared.spawning(start);
        let heartbeat = shared.stuck_after.map(|_| Arc::default());
        let memory = shared.measures_memory.then(Arc::default);
        Self {
            shared,
            worker: WorkerId::new(start.worker as u32),
            incarnation: start.incarnation,
            factory,
            isolate: None,
            heartbeat,
            memory,
            fails_build: false,
            is_succeeded: false,
            epitaph: Epitaph::default(),
        }
    }

    /// Starts the isolate.
    pub(crate) fn spawn(self) {
        let name = format!("{}.{}", self.shared.name, self.worker);
        Isolate::builder().name(name).spawn(run::<R>, self);
    }

    fn move_in(&mut self) {
        if let Some(isolate) = Isolate::current() {
            self.isolate = Some(isolate.id());
            let resident = Resident {
                isolate,
                incarnation: self.incarnation,
                heartbeat: self.heartbeat.clone(),
                memory: self.memory.clone(),
            };
            self.shared.move_in(self.worker.index(), resident);
        }
    }

    /// From here on the dispatch is told when the isolate runs. Not before its state is built: an
    /// earlier one may have the worker meanwhile, whose room is its own.
    async fn watch(&self, books: &Arc<StateBooks>) {
        let worker = self.worker.index();
        let meters = Meters {
            cpu: self.shared.measures_cpu.then(|| Arc::clone(books)),
            memory: self.memory.clone(),
            heartbeat: self.heartbeat.clone(),
        };
        let is_any = meters.cpu.is_some() || meters.memory.is_some() || meters.heartbeat.is_some();
        watch_slices(Arc::new(Watch {
            shared: Arc::clone(&self.shared),
            worker,
            meters: is_any.then_some(meters),
        }));
        // The slice that runs has begun without the watch, and lanes must not run in it.
        yield_now().await;
    }

    /// Starts the isolate of the worker's next state.
    fn succeed(&mut self, incarnation: u32) {
        let (shared, factory) = (Arc::clone(&self.shared), Arc::clone(&self.factory));
        let worker = self.worker.index();
        let start = Start {
            worker,
            incarnation,
        };
        self.is_succeeded = true;
        Self::again(shared, start, factory).spawn();
    }

    /// The state could not be built, or its isolate ends.
    fn fail(&self, fault: WorkerFault) {
        let (worker, incarnation) = (self.worker.index(), self.incarnation);
        // An isolate that has never run is one of a runtime that shuts down, where another one would not
        // run either.
        if self.isolate.is_some() && !self.fails_build {
            self.shared.end(worker, incarnation, fault);
        } else {
            self.shared.lose(worker, incarnation, fault);
        }
    }
}

/// Tells the dispatch when the isolate of a state runs: a lane that is woken meanwhile comes to
/// nothing until the slice is over.
struct Watch<C: Calls> {
    shared: Arc<Shared<C>>,
    worker: usize,
    /// `None` in most pools.
    meters: Option<Meters>,
}

/// What is measured of a slice.
struct Meters {
    /// If their time is measured.
    cpu: Option<Arc<StateBooks>>,
    memory: Option<Arc<StateMemory>>,
    /// If workers are watched.
    heartbeat: Option<Arc<Heartbeat>>,
}

impl Meters {
    fn begin(&self, signs: &Signs, worker: usize) {
        if let Some(books) = &self.cpu {
            books.cpu().begin();
        }
        if let Some(memory) = &self.memory {
            memory.meter.begin();
        }
        match &self.heartbeat {
            Some(heartbeat) => heartbeat.begins(signs, worker),
            None => signs.enter(worker),
        }
    }

    fn end(&self, signs: &Signs, worker: usize) -> bool {
        if let Some(memory) = &self.memory {
            memory.meter.end();
        }
        if let Some(books) = &self.cpu {
            books.cpu().end();
        }
        match &self.heartbeat {
            Some(heartbeat) => heartbeat.ends(signs, worker),
            None => signs.leave(worker),
        }
    }
}

impl<C: Calls> SliceWatch for Watch<C> {
    fn begins(&self) {
        let signs = self.shared.signs();
        match &self.meters {
            None => signs.enter(self.worker),
            Some(meters) => meters.begin(signs, self.worker),
        }
    }

    fn ends(&self) {
        let signs = self.shared.signs();
        let calls_wait = match &self.meters {
            None => signs.leave(self.worker),
            Some(meters) => meters.end(signs, self.worker),
        };
        if calls_wait {
            self.shared.offer(self.worker);
        }
    }
}

/// Tells the pool when the isolate ends, however it ends; also if it never ran, because its
/// runtime was shut down.
impl<R: Respond> Drop for Seed<R> {
    fn drop(&mut self) {
        if let Some(isolate) = self.isolate {
            self.shared.move_out(self.worker.index(), isolate);
        }
        if !self.is_succeeded {
            let why = self.epitaph.lock().take();
            self.fail(why.map_or(WorkerFault::Ended, WorkerFault::GivenUp));
        }
        self.shared.bury(self.worker.index(), self.incarnation);
    }
}

/// The entry of the isolate of one state of a worker. Whatever the state's handlers and its factory
/// have left running ends with it.
pub(crate) async fn run<R: Respond>(mut seed: Seed<R>) {
    seed.move_in();
    let (shared, worker) = (Arc::clone(&seed.shared), seed.worker.index());
    let incarnation = seed.incarnation;
    let responder = match build(&seed).await {
        Ok(responder) => Arc::new(responder),
        Err(fault) => {
            seed.fail(fault);
            return leave(seed);
        }
    };
    let Some(open) = shared.ready(worker, incarnation) else {
        drop_contained(responder);
        return leave(seed);
    };
    seed.fails_build = false;
    let books = shared.books[worker].open();
    seed.watch(&books).await;
    let (last_lane, all_over) = one_shot();
    let lanes = Arc::new(Lanes::new(&seed, Arc::clone(&responder), books, last_lane));
    open.into_iter().for_each(|lane| lanes.spawn(lane));
    // Only lanes hold it from here on, so that `all_over` comes with the end of the last one.
    drop(lanes);
    shared.quiet(worker, incarnation).await;
    drop_contained(responder);
    if let Some(next) = shared.rebuild(worker, incarnation) {
        seed.succeed(next);
    }
    // Streams of this state may still have readers.
    let _dropped = all_over.await;
    leave(seed);
}

/// Ends the isolate, and with it the tasks and timers that still run.
fn leave<R: Respond>(seed: Seed<R>) {
    drop(seed);
    if let Some(isolate) = Isolate::current() {
        isolate.kill();
    }
}

async fn build<R: Respond>(seed: &Seed<R>) -> Result<R, WorkerFault> {
    let pool = Arc::clone(&seed.shared.name);
    let cx = WorkerContext {
        worker: seed.worker,
        incarnation: seed.incarnation,
        pool,
        readiness: seed.shared.readiness(seed.worker.index(), seed.incarnation),
        memory: seed.memory.clone(),
        dropper: seed.shared.dropper.clone(),
        compute: compute(&seed.shared, seed.worker.index()),
        places: seed.shared.places,
        grace: seed.shared.grace,
        stuck_after: seed.shared.stuck_after,
        isolate: Isolate::current(),
        epitaph: Arc::clone(&seed.epitaph),
    };
    let timeout = seed.shared.startup_timeout;
    // Called inside of the future, so that a factory that panics before its first wait is contained
    // too.
    let mut building = Box::pin(contain(metered(seed, async { (seed.factory)(cx).await })));
    // A pool that ends does not wait for states that it will not use.
    let unneeded = seed.shared.unneeded(seed.worker.index(), seed.incarnation);
    let built = unless(unneeded, within(timeout, &mut building)).await;
    // If it did not come to its end, what it holds is the user's.
    drop_contained(building);
    match built {
        Some(Some(Ok(Ok(responder)))) => Ok(responder),
        Some(Some(Ok(Err(error)))) => Err(WorkerFault::Failed(error)),
        Some(Some(Err(panic))) => Err(WorkerFault::Panicked {
            message: panic.message,
            location: panic.location,
        }),
        Some(None) => Err(WorkerFault::TimedOut(timeout)),
        None => Err(WorkerFault::Ended),
    }
}

/// Counts what a factory allocates for the state that it builds.
async fn metered<R: Respond, F: Future>(seed: &Seed<R>, building: F) -> F::Output {
    let mut building = pin!(building);
    poll_fn(|cx| {
        // Its drop ends the slice, also if the factory panics.
        let _slice = seed.memory.as_ref().map(|it| it.slice());
        building.as_mut().poll(cx)
    })
    .await
}

/// Computations of one worker, on the cores that the others leave free.
fn compute<C: Calls>(shared: &Arc<Shared<C>>, worker: usize) -> Compute {
    let shared = Arc::downgrade(shared);
    let taken = move || {
        shared
            .upgrade()
            .map_or(0, |it| it.signs().others_inside(worker))
    };
    Compute::builder().taken(taken).build()
}

/// The drop of a suspect state may well panic, and no caller is left to report that to.
fn drop_contained<T>(value: T) {
    let _dropped = catch(move || drop(value));
}

/// The part that the lanes of one state have in common. They are tasks of the worker's isolate.
struct Lanes<R: Respond> {
    shared: Arc<Shared<R::Contract>>,
    /// `None` in its drop only.
    responder: Option<Arc<R>>,
    worker: usize,
    incarnation: u32,
    scope: Scope,
    memory: Option<Arc<StateMemory>>,
    books: Arc<StateBooks>,
    /// Is dropped with the last lane.
    _last_lane: ReplyTo<()>,
}

impl<R: Respond> Lanes<R> {
    fn new(
        seed: &Seed<R>,
        responder: Arc<R>,
        books: Arc<StateBooks>,
        last_lane: ReplyTo<()>,
    ) -> Self {
        let shared = Arc::clone(&seed.shared);
        let name = Arc::clone(&shared.name);
        Self {
            scope: Scope::new(name, seed.worker, seed.incarnation, shared.grace),
            responder: Some(responder),
            worker: seed.worker.index(),
            incarnation: seed.incarnation,
            memory: seed.memory.clone(),
            books,
            shared,
            _last_lane: last_lane,
        }
    }

    /// Runs a lane that the dispatch has opened.
    fn spawn(self: &Arc<Self>, lane: usize) {
        let at = At {
            worker: self.worker,
            lane,
        };
        let lane = Lane {
            lanes: Arc::clone(self),
            at,
        };
        spawn_local(lane.run());
    }
}

/// The last lane of a state that still had a stream may drop it long after its worker has gone on.
impl<R: Respond> Drop for Lanes<R> {
    fn drop(&mut self) {
        drop_contained(self.responder.take());
    }
}

/// A loop that runs one call after the other.
struct Lane<R: Respond> {
    lanes: Arc<Lanes<R>>,
    at: At,
}

impl<R: Respond> Lane<R> {
    async fn run(self) {
        let Self { lanes, at } = &self;
        let books = Arc::new(LaneBooks::new(&lanes.books));
        // A service that one call uses at a time is used until the end of that call's stream.
        let place = (!R::EXCLUSIVE).then(|| -> Arc<dyn Place> {
            Arc::new(LanePlace {
                lanes: Arc::clone(lanes),
                at: *at,
            })
        });
        let scope = lanes.scope.at(place, Some(Arc::clone(&books) as _));
        self.work(&scope, &books).await;
    }

    async fn work(&self, scope: &Scope, books: &LaneBooks) {
        let (shared, at) = (&self.lanes.shared, self.at);
        let Some(responder) = &self.lanes.responder else {
            return;
        };
        // Everything below is polled by this one task, so this waker serves for all of it.
        poll_fn(|cx| {
            shared.enroll(at, cx.waker());
            Poll::Ready(())
        })
        .await;
        let _enrolled = Enrolled {
            shared,
            at,
            incarnation: self.lanes.incarnation,
        };
        let (mut done, mut time, mut slice) = (None, None, Slice::default());
        let mut beside = Beside::new(self.lanes.memory.is_some());
        while let Some(entry) = poll_fn(|_cx| {
            let next = shared.poll_next(at, &mut done, &mut time);
            // A lane that parks lets others run anyway.
            if next.is_pending() {
                (slice, time) = (Slice::default(), None);
            }
            next
        })
        .await
        {
            slice.begin();
            let method = entry.call.method();
            books.begin(method);
            if let Some(came) = entry.timed_from() {
                books.time(came, time.unwrap_or_else(Instant::now));
            }
            beside.begin(entry.pin.is_some());
            let mut running = pin!(responder.respond(entry.call, scope));
            let ended = poll_fn(|cx| {
                // Of a stream that has ended, and then waits for its place.
                let _long_ago = books.take_end();
                match beside.is_any() {
                    false => running.as_mut().poll(cx),
                    true => self.poll_beside(&mut beside, running.as_mut(), cx),
                }
            })
            .await;
            // Told with the next question, under one lock. That is asked when the call has just ended.
            (done, time) = (Some(ended.how), books.take_end());
            if let Some(memory) = &beside.memory
                && self.tell_memory(method, memory)
            {
                // Hooks were called, so that the question comes later; as below.
                time = None;
            }
            if ended.how == How::Expired && !ended.has_run {
                shared.discarded(method, DiscardReason::Expired);
                time = None;
            }
            if ended.how == How::Panicked {
                // Before that question, or this lane would take one more call on this state.
                shared.suspect(at.worker, self.lanes.incarnation);
                time = None;
            }
            if slice.is_over() {
                time = None;
                yield_now().await;
            }
        }
    }
}

/// What is to be done beside the polls of few calls.
struct Beside {
    /// The call is pinned, and has not begun.
    begins: bool,
    /// If memory is measured.
    memory: Option<CallMemory>,
}

impl Beside {
    fn new(measures_memory: bool) -> Self {
        Self {
            begins: false,
            memory: measures_memory.then(CallMemory::default),
        }
    }

    /// The lane's next call begins.
    fn begin(&mut self, is_pinned: bool) {
        self.begins = is_pinned;
        if let Some(memory) = &mut self.memory {
            *memory = CallMemory::default();
        }
    }

    fn is_any(&self) -> bool {
        self.begins || self.memory.is_some()
    }
}

impl<R: Respond> Lane<R> {
    /// Polls a call, with what is to be done beside that.
    // Not in line, and without its type, so that other calls do not pay for this.
    #[cold]
    fn poll_beside(
        &self,
        beside: &mut Beside,
        call: Pin<&mut dyn Future<Output = Ended>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Ended> {
        // Before the poll, which may compute for long, or make calls that wait for this.
        if std::mem::take(&mut beside.begins) {
            let incarnation = self.lanes.incarnation;
            self.lanes.shared.began(self.at.worker, incarnation);
        }
        match &mut beside.memory {
            Some(memory) => memory.count(|| call.poll(cx)),
            None => call.poll(cx),
        }
    }

    /// A call has ended. Returns whether that may have taken long.
    fn tell_memory(&self, method: usize, call: &CallMemory) -> bool {
        let (shared, incarnation) = (&self.lanes.shared, self.lanes.incarnation);
        self.lanes.books.add_memory(method, call);
        let Some((limit, state)) = shared.memory.as_ref().zip(self.lanes.memory.as_ref()) else {
            return false;
        };
        state.look(limit, shared, (self.at.worker, incarnation));
        true
    }
}

/// The place of a lane's call.
struct LanePlace<R: Respond> {
    lanes: Arc<Lanes<R>>,
    at: At,
}

impl<R: Respond> Place for LanePlace<R> {
    fn give_back(&self) {
        if let Some(lane) = self.lanes.shared.give_back(self.at) {
            self.lanes.spawn(lane);
        }
    }

    fn poll_return(&self, task: &mut task::Context<'_>) -> Poll<()> {
        self.lanes.shared.poll_return(self.at, task.waker().clone())
    }
}

/// A lane that is woken through the task that holds this.
struct Enrolled<'a, C: Calls> {
    shared: &'a Shared<C>,
    at: At,
    incarnation: u32,
}

impl<C: Calls> Drop for Enrolled<'_, C> {
    fn drop(&mut self) {
        self.shared.dismiss(self.at, self.incarnation);
    }
}

/// Limits the time for which a lane goes from call to call before it lets other isolates run,
/// among them the callers that it has just woken. Short calls share a slice; a long one ends it.
/// The clock is read twice per slice at most, and never by a lane that finds one call at a time.
#[derive(Default)]
struct Slice {
    calls: u32,
    /// The end of the first call.
    began: Option<Instant>,
}

impl Slice {
    const CALLS: u32 = 16;
    const LONG: Duration = Duration::from_micros(20);

    /// Begins a call.
    fn begin(&mut self) {
        if self.calls == 1 {
            self.began = Some(Instant::now());
        }
    }

    /// Counts a call that has ended.
    fn is_over(&mut self) -> bool {
        self.calls += 1;
        let is_over = match (self.calls, self.began) {
            (2, Some(began)) => Instant::now().saturating_duration_since(began) > Self::LONG,
            (calls, _) => calls >= Self::CALLS,
        };
        if is_over {
            *self = Self::default();
        }
        is_over
    }
}
