//! One link on the side of a node: a pool of one worker behind the target of the link.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll, Waker};
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use insula_core::{Isolate, ReceivePort, SendPort, sleep};
use insula_link::Target;
use insula_pool::{
    BuildError, PoolObserver, Queue, Restart, ServiceFactory, Shutdown, WorkerChange, WorkerEvent,
    WorkerPool,
};
use insula_rpc::Respond;
use insula_rpc::wire::{Frame, WireContract};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::carrier::{Carrier, End, Over, Pace};
use crate::course::Course;
use crate::message::Opening;
use crate::node::Desk;
use crate::session::{Losses, Session};
use crate::signals::{Closing, Signals};

/// The calls that may be open on one link: those that run, and those whose streams wait for their
/// readers. A caller with more of them is no pool.
const MOST_CALLS: usize = 1 << 14;

/// The longest grace that a caller may ask for.
const LONGEST_GRACE: Duration = Duration::from_secs(60);

/// The time that calls get which still run when the caller lets go.
const PATIENCE: Duration = Duration::from_secs(1);

/// A link that a caller has asked for, and that a node has a worker for.
pub(crate) struct Link {
    pub(crate) session: Arc<Session>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) seat: Arc<OwnedSemaphorePermit>,
    pub(crate) losses: Losses,
    pub(crate) inbox: Subscriber,
    pub(crate) peer: String,
    pub(crate) course: Course,
    /// The most bytes of a value.
    pub(crate) most: usize,
    pub(crate) opening: Opening,
}

/// What the isolate of a link has to do.
enum Order {
    /// Take a frame.
    Take(Vec<u8>),
    /// Get ready for the end, within some time.
    Go(Duration),
}

/// Begins the isolate of a link, and the task that moves its messages.
pub(crate) fn begin<R>(link: Link, factory: impl ServiceFactory<R::Service>)
where
    R: Respond,
    R::Contract: WireContract,
{
    let Link {
        session,
        desk,
        seat,
        losses,
        inbox,
        peer,
        course,
        most,
        opening,
    } = link;
    let signals = Arc::new(Signals::default());
    let stage = Arc::new(Stage::<R::Contract>::default());
    let pace = Pace::new(desk.plan.silence, opening.silence);
    let work = Work {
        opening,
        most,
        stage: Arc::clone(&stage),
        signals: Arc::clone(&signals),
        _gone: Gone(Arc::clone(&signals)),
        _seat: Arc::clone(&seat),
    };
    // Without a bound of its own: the window of the link bounds what comes.
    let builder = Isolate::builder().name("link").runtime(&desk.runtime);
    let (_isolate, orders) = builder.spawn_pair(move |orders| work.run::<R>(orders, factory));
    let carrier = Carrier {
        session: Arc::clone(&session),
        losses,
        inbox,
        peer,
        course,
        signals,
        pace,
    };
    let served = Served { orders, stage };
    session.spawn_link(served.carry(carrier, desk, seat));
}

/// The end of a link in the program of a node.
struct Served<C> {
    orders: SendPort<Order>,
    stage: Arc<Stage<C>>,
}

/// What the isolate of a link has made so far.
struct Stage<C> {
    target: OnceLock<Target<C>>,
    /// A frame that says why there is no target.
    refusal: Mutex<Option<Vec<u8>>>,
}

impl<C: WireContract> Served<C> {
    async fn carry(mut self, carrier: Carrier, desk: Arc<Desk>, seat: Arc<OwnedSemaphorePermit>) {
        // The connection lasts until the last word is written.
        let session = Arc::clone(&carrier.session);
        let orders = self.orders.clone();
        let mut stopping = desk.stopping.clone();
        let mut is_told = false;
        {
            let mut running = pin!(carrier.run(&mut self));
            let _over: Over = loop {
                tokio::select! {
                    over = &mut running => break over,
                    stopped = stopping.changed(), if !is_told => {
                        is_told = true;
                        let patience = *stopping.borrow_and_update();
                        // Without a word the node was dropped.
                        let patience = patience.filter(|_| stopped.is_ok()).unwrap_or_default();
                        let _ = orders.send(Order::Go(patience));
                    }
                }
            };
        }
        // The isolate finds its port closed, and ends what still runs.
        drop((self, orders));
        let _ = timeout(crate::worker::LAST_WORDS, session.client().flush()).await;
        drop(seat);
    }
}

impl<C: WireContract> End for Served<C> {
    fn next(&mut self) -> Option<Vec<u8>> {
        match self.stage.target.get() {
            Some(target) => target.outbox().take().map(|it| it.bytes),
            None => self.stage.refusal.lock().take(),
        }
    }

    fn waiting(&self) -> usize {
        let target = self.stage.target.get();
        target.map_or(0, |target| target.outbox().len())
    }

    fn give(&mut self, frame: Vec<u8>) -> Result<bool, String> {
        let sent = self.orders.send(Order::Take(frame));
        sent.map(|()| false)
            .map_err(|_closed| "the worker has ended".to_owned())
    }

    fn going(&mut self) {
        // Only a node says so.
    }
}

/// What the isolate of a link needs.
struct Work<C> {
    opening: Opening,
    most: usize,
    stage: Arc<Stage<C>>,
    signals: Arc<Signals>,
    /// Also if the isolate is killed, panics, or never runs.
    _gone: Gone,
    /// Given back with the worker.
    _seat: Arc<OwnedSemaphorePermit>,
}

impl<C: WireContract> Work<C> {
    async fn run<R>(self, mut orders: ReceivePort<Order>, factory: impl ServiceFactory<R::Service>)
    where
        R: Respond<Contract = C>,
    {
        let is_serving = Arc::new(AtomicBool::new(false));
        let ends = EndsWithWorker {
            is_serving: Arc::clone(&is_serving),
            signals: Arc::clone(&self.signals),
        };
        let pool = WorkerPool::builder()
            .name("node")
            .workers(1)
            .concurrency_per_worker(self.opening.places as usize)
            // The caller has the bound, and a link one of its own.
            .queue(Queue::bounded(usize::MAX))
            .grace(self.opening.grace.min(LONGEST_GRACE))
            .restart(Restart::never())
            .observe(ends)
            .service::<R>(factory)
            .build();
        let mut kept = VecDeque::new();
        let pool = match unless_closed(&mut orders, &mut kept, pool).await {
            Some(Ok(pool)) => pool,
            Some(Err(error)) => {
                // Of the error what the other side does not say itself.
                let why = match &error {
                    BuildError::Startup { fault, .. } => fault.to_string(),
                    other => other.to_string(),
                };
                *self.stage.refusal.lock() = Some(Frame::Refused(why.clone()).write().bytes);
                return self.signals.close(Closing::Complete(why));
            }
            None => return,
        };
        is_serving.store(true, Ordering::Release);
        let why = self.serve(&mut orders, kept, &pool).await;
        if let Some(why) = why {
            self.signals.close(why);
        }
        pool.shut_down(Shutdown::now()).await;
    }

    /// Serves calls until the link ends, or should. Returns how, if the other end does not know.
    async fn serve(
        &self,
        orders: &mut ReceivePort<Order>,
        mut kept: VecDeque<Order>,
        pool: &WorkerPool<C>,
    ) -> Option<Closing> {
        let endpoint = pool.endpoint();
        let medium = Waker::from(Arc::clone(&self.signals));
        let target = Target::new(endpoint, self.most, medium, |_call| {});
        let target = self.stage.target.get_or_init(|| target);
        if let Err(violation) = target.receive(self.opening.hello.clone().into()) {
            return Some(Closing::Broken(violation.to_string()));
        }
        let mut calls = FuturesUnordered::new();
        let mut patience = None;
        loop {
            let next = match kept.pop_front() {
                Some(order) => Next::Order(order),
                None => next(orders, &mut calls, &mut patience).await,
            };
            match next {
                Next::Order(Order::Take(frame)) => {
                    match target.receive(frame.into()) {
                        Ok(Some(_)) if calls.len() >= MOST_CALLS => {
                            let why = "more calls are open than a link may have";
                            return Some(Closing::Broken(why.to_owned()));
                        }
                        Ok(Some(call)) => calls.push(call.run()),
                        Ok(None) => {}
                        Err(violation) => return Some(Closing::Broken(violation.to_string())),
                    }
                    self.signals.take_one();
                }
                Next::Order(Order::Go(time)) => {
                    self.signals.go();
                    patience = Some(Box::pin(sleep(time)));
                }
                Next::Closed => return None,
                Next::TimeIsUp => {
                    // The calls tell how they ended.
                    let end = pool.shut_down(Shutdown::now());
                    drive(end, &mut calls).await;
                    return Some(Closing::Complete(STOPPED.to_owned()));
                }
                Next::CallEnded => {}
            }
            if target.is_told_to_go() && calls.is_empty() {
                // What comes from here on is not started, and the end of the link says so.
                let end = pool.shut_down(Shutdown::graceful(PATIENCE));
                drive(end, &mut calls).await;
                return Some(Closing::Complete(STOPPED.to_owned()));
            }
        }
    }
}

const STOPPED: &str = "the node has stopped";

/// What comes next in the isolate of a link.
enum Next {
    Order(Order),
    /// The link has ended.
    Closed,
    CallEnded,
    TimeIsUp,
}

type Patience = Option<Pin<Box<insula_core::Sleep>>>;

async fn next<F: Future<Output = ()>>(
    orders: &mut ReceivePort<Order>,
    calls: &mut FuturesUnordered<F>,
    patience: &mut Patience,
) -> Next {
    poll_fn(|cx| {
        if let Poll::Ready(order) = orders.poll_recv(cx) {
            return Poll::Ready(order.map_or(Next::Closed, Next::Order));
        }
        if let Poll::Ready(Some(())) = calls.poll_next_unpin(cx) {
            return Poll::Ready(Next::CallEnded);
        }
        if let Some(time) = patience
            && time.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Next::TimeIsUp);
        }
        Poll::Pending
    })
    .await
}

/// Waits for a future, and moves calls along.
async fn drive<T, F: Future<Output = ()>>(
    future: impl Future<Output = T>,
    calls: &mut FuturesUnordered<F>,
) -> T {
    let mut future = pin!(future);
    poll_fn(|cx: &mut task::Context<'_>| {
        while let Poll::Ready(Some(())) = calls.poll_next_unpin(cx) {}
        future.as_mut().poll(cx)
    })
    .await
}

/// Waits for a future; `None` if the port is closed before. What comes in between is kept.
async fn unless_closed<T>(
    orders: &mut ReceivePort<Order>,
    kept: &mut VecDeque<Order>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        while let Poll::Ready(order) = orders.poll_recv(cx) {
            match order {
                Some(order) => kept.push_back(order),
                None => return Poll::Ready(None),
            }
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Ends the link with the isolate that serves it.
struct Gone(Arc<Signals>);

impl Drop for Gone {
    fn drop(&mut self) {
        let why = "the worker has ended".to_owned();
        self.0.close(Closing::Broken(why));
    }
}

/// A worker that has lost its service is of no use, and the end of its link tells the caller so.
struct EndsWithWorker {
    is_serving: Arc<AtomicBool>,
    signals: Arc<Signals>,
}

impl PoolObserver for EndsWithWorker {
    fn on_event(&self, event: &WorkerEvent) {
        // The error of a build is told otherwise.
        let is_serving = self.is_serving.load(Ordering::Acquire);
        if is_serving && let WorkerChange::Lost { fault } = &event.change {
            // No handler begins any more, and of those that have there was word before.
            self.signals.close(Closing::Complete(fault.to_string()));
        }
    }
}

impl<C> Default for Stage<C> {
    fn default() -> Self {
        Self {
            target: OnceLock::new(),
            refusal: Mutex::new(None),
        }
    }
}
