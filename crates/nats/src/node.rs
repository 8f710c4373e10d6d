//! The side on which calls run: a program that serves links.

use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use async_nats::{Message as Delivered, Subscriber};
use futures_util::StreamExt as _;
use insula_core::Runtime;
use insula_pool::ServiceFactory;
use insula_rpc::Respond;
use insula_rpc::wire::{Hello, WireContract};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::carrier::most_of_frame;
use crate::course::Course;
use crate::error::{NatsError, shown};
use crate::message::{HEAD, Kind, Opening, least, millis, reason, write_hello, write_most};
use crate::nats::Nats;
use crate::nodes::NodeStatus;
use crate::plan::{LONGEST_SILENCE, Plan};
use crate::serving::{self, Link};
use crate::session::Session;
use crate::subjects::GROUP;
use crate::worker::forbidden;

/// The least that a server has to allow for a message.
const LEAST_PAYLOAD: usize = HEAD + (1 << 10);

/// The time that a node has for its links beyond the patience that it was given.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// Collects what a node serves; see [`Nats::node`].
#[must_use = "a node is started by `start().await`"]
pub struct NodeBuilder {
    nats: Nats,
    workers: usize,
    places: usize,
    offers: Vec<Offer>,
}

/// A contract that a node serves, and what begins a link of it.
struct Offer {
    hello: Hello,
    open: Arc<dyn Fn(Link) + Send + Sync>,
}

impl NodeBuilder {
    pub(crate) fn new(nats: Nats) -> Self {
        Self {
            nats,
            workers: available_parallelism().map_or(1, Into::into),
            places: 256,
            offers: Vec::new(),
        }
    }

    /// Sets the number of links that the node serves at once, over all its contracts: each is one
    /// worker of a pool elsewhere. The default is the number of cores.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the most calls that a worker may run at once, whatever its pool asks for
    /// ([`concurrency_per_worker`](insula_pool::PoolBuilder::concurrency_per_worker)). A pool that asks
    /// for more is refused. The default is 256.
    pub fn most_concurrency(mut self, calls: usize) -> Self {
        self.places = calls;
        self
    }

    /// Serves the calls of a contract with services that `factory` builds, one for each link, when it
    /// opens; and again each time that a panic has made one suspect. What all of them should share is
    /// made before, and cloned by the factory.
    pub fn serve<R>(mut self, factory: impl ServiceFactory<R::Service>) -> Self
    where
        R: Respond,
        R::Contract: WireContract,
    {
        let factory = Arc::new(factory);
        self.offers.push(Offer {
            hello: Hello::of::<R::Contract>(self.nats.plan().most),
            open: Arc::new(move |link| {
                let factory = Arc::clone(&factory);
                serving::begin::<R>(link, move |cx| factory(cx));
            }),
        });
        self
    }

    /// Connects, and serves from here on. The services run in the current
    /// [runtime](insula_core::Runtime::current).
    ///
    /// # Errors
    /// The settings make no sense, no server could be reached, or it does not allow what a node does.
    pub async fn start(self) -> Result<Node, NatsError> {
        let Self {
            nats,
            workers,
            places,
            offers,
        } = self;
        let problem = match () {
            () if offers.is_empty() => "a node without a service",
            () if workers == 0 => "a node without workers",
            () if workers > Semaphore::MAX_PERMITS.min(1 << 20) => "too many workers",
            () if places == 0 => "workers that run no calls",
            () => "",
        };
        if !problem.is_empty() {
            return Err(NatsError::settings(problem));
        }
        let session = nats.shared().session(nats.plan()).await?;
        let (stop, stopping) = watch::channel(None);
        let desk = Arc::new(Desk {
            plan: Arc::clone(nats.plan()),
            workers,
            seats: Arc::new(Semaphore::new(workers)),
            stopping,
            places,
            runtime: Runtime::current(),
        });
        let opening = open(Arc::clone(&session), Arc::clone(&desk), offers);
        session.run(opening).await??;
        Ok(Node {
            session,
            desk,
            stop,
        })
    }
}

/// A program that serves links, until it is stopped.
///
/// # Cancellation
/// Its drop cancels what runs, and ends the links.
pub struct Node {
    session: Arc<Session>,
    desk: Arc<Desk>,
    /// The patience of the stop.
    stop: watch::Sender<Option<Duration>>,
}

impl Node {
    /// Returns the number of links that are open.
    pub fn links(&self) -> usize {
        self.desk.links()
    }

    /// Returns the number of links that it serves at once.
    pub fn workers(&self) -> usize {
        self.desk.workers
    }

    /// Stops the node: it takes no more links, tells its callers to send no more calls, and gives
    /// those that are here `patience` to finish. What is left then is cancelled. It is ready once all
    /// links have ended.
    ///
    /// # Cancellation
    /// Dropping the future drops the node.
    pub async fn stop(self, patience: Duration) {
        let _ = self.stop.send(Some(patience));
        let seats = Arc::clone(&self.desk.seats);
        let workers = u32::try_from(self.workers()).unwrap_or(u32::MAX);
        let client = self.session.client().clone();
        let all = async move {
            let most = patience.saturating_add(LAST_STEPS);
            let _ = timeout(most, seats.acquire_many(workers)).await;
            let _ = timeout(crate::worker::LAST_WORDS, client.flush()).await;
        };
        // An error says that there is nothing left to wait for.
        let _ = self.session.run(all).await;
    }
}

/// What all links of a node share.
pub(crate) struct Desk {
    pub(crate) plan: Arc<Plan>,
    /// All workers.
    workers: usize,
    /// The workers that are free.
    seats: Arc<Semaphore>,
    /// The patience of a stop, once there is one.
    pub(crate) stopping: watch::Receiver<Option<Duration>>,
    /// The most calls of a worker.
    places: usize,
    pub(crate) runtime: Runtime,
}

impl Desk {
    /// The links that are open.
    fn links(&self) -> usize {
        self.workers - self.seats.available_permits().min(self.workers)
    }
}

/// Subscribes to all that a node listens to, and goes on with it.
async fn open(session: Arc<Session>, desk: Arc<Desk>, offers: Vec<Offer>) -> Result<(), NatsError> {
    let plan = &desk.plan;
    if session.client().max_payload() < LEAST_PAYLOAD {
        let problem = format!("the server allows messages of less than {LEAST_PAYLOAD} bytes");
        return Err(NatsError::settings(problem));
    }
    let mut said = session.said();
    let mut listeners = Vec::new();
    for offer in offers {
        let hello = &offer.hello;
        let subjects = &plan.subjects;
        let mut subscribed = Vec::new();
        for subject in [
            subjects.here_exactly(hello),
            subjects.here(hello),
            subjects.open(hello),
        ] {
            let subscribing = subscribe(&session, &subject);
            let failed = |why: String| NatsError::no_answer(hello, why);
            subscribed.push(subscribing.await.map_err(failed)?);
        }
        let asked = session.client().subscribe(subjects.nodes(&hello.contract));
        let asked = asked.await;
        let asked = asked.map_err(|why| NatsError::no_answer(hello, why.to_string()))?;
        listeners.push((offer, subscribed, asked));
    }
    settle(&session, plan, &listeners, &mut said).await?;
    for (offer, mut subscribed, asked) in listeners {
        let hello = write_hello(offer.hello.clone());
        let status = status(Arc::clone(&desk), offer.hello.clone());
        session.spawn(tell(Arc::clone(&session), Arc::clone(&desk), asked, status));
        let first = subscribed.pop();
        let listener = Listener {
            session: Arc::clone(&session),
            desk: Arc::clone(&desk),
            offer,
        };
        session.spawn(listener.run(first));
        for here in subscribed {
            session.spawn(tell(Arc::clone(&session), Arc::clone(&desk), here, {
                let hello = hello.clone();
                move || hello.clone()
            }));
        }
    }
    Ok(())
}

/// Waits until the server has read all subscriptions, and finds out whether it allows them: messages
/// to the own inbox come back after that.
async fn settle(
    session: &Session,
    plan: &Plan,
    listeners: &[(Offer, Vec<Subscriber>, Subscriber)],
    said: &mut watch::Receiver<String>,
) -> Result<(), NatsError> {
    let own = session.client().new_inbox();
    let Some((offer, ..)) = listeners.first() else {
        return Ok(());
    };
    let failed = |why: String| NatsError::no_answer(&offer.hello, why);
    let subscribed = session.client().subscribe(own.clone()).await;
    let mut inbox = subscribed.map_err(|error| failed(error.to_string()))?;
    let root = plan.subjects.root();
    // Twice: the client tells of errors in a task of its own, which has run by the second time.
    for _ in 0..2 {
        let published = session.client().publish(own.clone(), "".into()).await;
        published.map_err(|error| failed(error.to_string()))?;
        // The text of the server names the subject, whichever it is.
        let all = [root.as_str()];
        let back = tokio::select! {
            biased;
            why = forbidden(said, &all) => {
                let servers = plan.servers();
                return Err(NatsError::Denied { servers, why });
            }
            back = inbox.next() => back,
            () = sleep(plan.silence) => None,
        };
        if back.is_none() {
            return Err(failed(format!("the server does not deliver to {own}")));
        }
    }
    Ok(())
}

async fn subscribe(session: &Session, subject: &str) -> Result<Subscriber, String> {
    let group = GROUP.to_owned();
    let subscribed = session.client().queue_subscribe(subject.to_owned(), group);
    subscribed.await.map_err(|error| error.to_string())
}

/// Makes what a node says of itself.
fn status(desk: Arc<Desk>, hello: Hello) -> impl Fn() -> Vec<u8> {
    move || {
        let status = NodeStatus {
            name: desk.plan.name.clone(),
            process: std::process::id(),
            version: hello.version,
            schema: hello.schema,
            workers: desk.workers,
            links: desk.links(),
        };
        status.to_line().into_bytes()
    }
}

/// Answers the requests of a subscription: that this node serves a contract, for callers that got no answer
/// to their request for a link, or the status of the node.
async fn tell(
    session: Arc<Session>,
    desk: Arc<Desk>,
    mut here: Subscriber,
    answer: impl Fn() -> Vec<u8>,
) {
    let mut stopping = desk.stopping.clone();
    loop {
        let asked = tokio::select! {
            biased;
            _ = stopping.changed() => return,
            asked = here.next() => asked,
        };
        let Some(asked) = asked else {
            return;
        };
        if let Some(reply) = asked.reply
            && desk.plan.subjects.is_inbox(&reply)
        {
            let _ = session.client().publish(reply, answer().into()).await;
        }
    }
}

/// Takes the requests for links of one contract.
struct Listener {
    session: Arc<Session>,
    desk: Arc<Desk>,
    offer: Offer,
}

impl Listener {
    async fn run(self, first: Option<Subscriber>) {
        let mut stopping = self.desk.stopping.clone();
        let mut next = first;
        let subject = self.desk.plan.subjects.open(&self.offer.hello);
        loop {
            let requests = match next.take() {
                Some(first) => first,
                // Without a free worker the node is no member of the queue group, and others get the
                // requests.
                None => {
                    tokio::select! {
                        biased;
                        _ = stopping.changed() => return,
                        free = self.desk.seats.acquire() => drop(free),
                    }
                    match subscribe(&self.session, &subject).await {
                        Ok(requests) => requests,
                        // The connection is closed for good.
                        Err(_) => return,
                    }
                }
            };
            let is_stopping = self.take(requests, &mut stopping).await;
            if is_stopping {
                return;
            }
        }
    }

    /// Takes requests as long as there are free workers. Returns whether the node stops.
    async fn take(
        &self,
        mut requests: Subscriber,
        stopping: &mut watch::Receiver<Option<Duration>>,
    ) -> bool {
        let mut is_stopping = false;
        while !is_stopping {
            let request = tokio::select! {
                biased;
                _ = stopping.changed() => None,
                request = requests.next() => request,
            };
            let Some(request) = request else {
                is_stopping = true;
                break;
            };
            match Arc::clone(&self.desk.seats).try_acquire_owned() {
                Ok(seat) => self.open(&request, seat).await,
                Err(_) => self.answer(&request, Kind::Full, "").await,
            }
            if self.desk.seats.available_permits() == 0 {
                break;
            }
        }
        // What was already given to this node is answered.
        let _ = requests.drain().await;
        while let Ok(Some(request)) = timeout(self.desk.plan.silence, requests.next()).await {
            self.answer(&request, Kind::Full, "").await;
        }
        is_stopping
    }

    async fn open(&self, request: &Delivered, seat: OwnedSemaphorePermit) {
        // Without an inbox there is no one to answer to.
        let Some(peer) = self.inbox_of(request) else {
            return;
        };
        let opening = match Opening::read(&request.payload) {
            Ok(opening) => opening,
            Err(unreadable) => {
                return self
                    .answer(request, Kind::Break, &unreadable.to_string())
                    .await;
            }
        };
        let most = self.desk.places;
        if !(1..=most).contains(&(opening.places as usize)) {
            let why = format!("a worker of this node runs at most {most} calls at once");
            return self.answer(request, Kind::Break, &why).await;
        }
        let client = self.session.client();
        let own = client.new_inbox();
        let losses = self.session.losses();
        // An error says that the connection is closed for good.
        let Ok(inbox) = client.subscribe(own.clone()).await else {
            return;
        };
        let plan = &self.desk.plan;
        let most = least(plan.most, opening.most);
        let mut course = Course::new(most_of_frame(most));
        let body = write_most(plan.most);
        let welcome = course.sign(Kind::Welcome, millis(plan.silence), &body);
        let welcomed = client.publish_with_reply(peer.clone(), own, welcome.into());
        if welcomed.await.is_err() {
            return;
        }
        (self.offer.open)(Link {
            session: Arc::clone(&self.session),
            desk: Arc::clone(&self.desk),
            seat: Arc::new(seat),
            losses,
            inbox,
            peer,
            course,
            most,
            opening: Opening {
                silence: opening.silence.min(LONGEST_SILENCE),
                ..opening
            },
        });
    }

    async fn answer(&self, request: &Delivered, kind: Kind, why: &str) {
        if let Some(peer) = self.inbox_of(request) {
            let sign = Course::new(0).sign(kind, 0, reason(why));
            let _ = self.session.client().publish(peer, sign.into()).await;
        }
    }

    fn inbox_of(&self, request: &Delivered) -> Option<String> {
        let reply = request.reply.as_ref()?.to_string();
        self.desk.plan.subjects.is_inbox(&reply).then_some(reply)
    }
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contracts: Vec<_> = self.offers.iter().map(|it| shown(&it.hello)).collect();
        f.debug_struct("NodeBuilder")
            .field("nats", &self.nats)
            .field("workers", &self.workers)
            .field("contracts", &contracts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("workers", &self.workers())
            .field("links", &self.links())
            .finish_non_exhaustive()
    }
}
