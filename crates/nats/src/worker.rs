//! The caller's side of one link: how a worker of a pool finds a node, and keeps it.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use async_nats::{Message as Delivered, Request, StatusCode, Subscriber};
use futures_util::StreamExt as _;
use insula_link::{Connection, Origin, Settings};
use insula_pool::{FactoryError, Readiness, WorkerContext};
use insula_rpc::wire::{Hello, Link as _, Lost, WireContract};
use insula_sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Instant, sleep, timeout};

use crate::carrier::{Carrier, End, Over, Pace, most_of_frame};
use crate::course::Course;
use crate::error::{NatsError, shown};
use crate::message::{Kind, Message, Opening, least, read_hello, read_most, write_hello};
use crate::nats::Nats;
use crate::plan::{LONGEST_SILENCE, Plan};
use crate::session::{Losses, Session};
use crate::signals::{Closing, Signals};

/// The first wait for a free worker, and the longest one.
const WAITS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// The longest wait for a node to say that it is there.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The time between the end of the calls for a worker and the word of it: for a call that is on its way
/// into the link at this moment.
const LAST_CALLS: Duration = Duration::from_millis(20);

/// The longest wait for the answer of a node. It answers at once, but a request may be lost: one that comes
/// to a node just as that gives its last worker away.
const ANSWER: Duration = Duration::from_secs(3);

/// Opens a link to a worker of some node, and waits until it takes calls.
///
/// # Cancellation
/// Dropping the future ends the link.
///
/// # Errors
/// There is no such worker, or its service could not be built.
pub(crate) async fn start<C: WireContract>(
    nats: &Nats,
    cx: WorkerContext,
) -> Result<Connection, FactoryError> {
    let plan = nats.plan();
    let session = nats.shared().session(plan).await?;
    let hello = Hello::of::<C>(plan.most);
    let dial = Dial {
        session: Arc::clone(&session),
        plan: Arc::clone(plan),
        opening: Opening {
            silence: plan.silence,
            places: u32::try_from(cx.places()).unwrap_or(u32::MAX),
            grace: cx.grace(),
            hello: write_hello(hello.clone()),
            most: hello.most,
        },
        hello: hello.clone(),
    };
    let dialed = session.run(dial.run()).await??;
    let is_serving = Arc::new(AtomicBool::new(false));
    let serves = Arc::clone(&is_serving);
    let readiness = cx.readiness();
    let on_end = move |why: &str| {
        // Before that, and after the worker has let go of it, its end is no fault.
        if serves.load(Ordering::Acquire) {
            cx.end(why);
        }
    };
    let most = dialed.most;
    let limits = most.into();
    let settings = Settings { hello, limits };
    let signals = Arc::new(Signals::default());
    let medium = Waker::from(Arc::clone(&signals));
    let origin = Arc::new(Origin::new(settings, medium, on_end));
    // The node has it from the request.
    drop(origin.outbox().take());
    let hold = Hold {
        origin: Arc::clone(&origin),
        signals: Arc::clone(&signals),
        is_serving,
    };
    let carrier = dialed.carrier(&session, plan, signals);
    let caller = Caller {
        origin: Arc::clone(&origin),
        readiness,
    };
    session.spawn_link(caller.carry(carrier));
    std::future::poll_fn(|task| origin.poll_greeted(task)).await?;
    hold.is_serving.store(true, Ordering::Release);
    // A link that is lost from here on ends the worker. One that was lost before has told nothing.
    if origin.is_lost() {
        return Err("its link was lost as it was ready".into());
    }
    Ok(Connection::new(origin, most, hold))
}

/// A worker that looks for a node.
struct Dial {
    session: Arc<Session>,
    plan: Arc<Plan>,
    hello: Hello,
    opening: Opening,
}

/// A node that was found.
struct Dialed {
    losses: Losses,
    inbox: Subscriber,
    peer: String,
    /// The silence of the node.
    silence: Duration,
    /// The most bytes of a value, for both sides.
    most: usize,
}

/// What came of one request.
enum Answer {
    Welcome(Dialed),
    /// The node has no free worker.
    Full,
    /// There was no connection.
    Disconnected,
}

impl Dial {
    async fn run(self) -> Result<Dialed, NatsError> {
        let give_up = Instant::now() + self.plan.patience;
        let mut wait = WAITS.0;
        loop {
            let answer = match self.session.is_connected() {
                true => self.ask().await?,
                false => Answer::Disconnected,
            };
            let error = match answer {
                Answer::Welcome(dialed) => return Ok(dialed),
                Answer::Full => NatsError::NoFreeWorker {
                    contract: shown(&self.hello),
                },
                Answer::Disconnected => {
                    NatsError::disconnected(&self.plan, &self.session.said().borrow())
                }
            };
            if Instant::now() + wait >= give_up {
                return Err(error);
            }
            sleep(wait).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    /// Asks for a link once.
    async fn ask(&self) -> Result<Answer, NatsError> {
        let client = self.session.client();
        let mut losses = self.session.losses();
        let mut said = self.session.said();
        let own = client.new_inbox();
        let subject = self.plan.subjects.open(&self.hello);
        let failed = |why: String| NatsError::no_answer(&self.hello, why);
        let subscribed = client.subscribe(own.clone()).await;
        let mut inbox = subscribed.map_err(|error| failed(error.to_string()))?;
        let request = self.opening.write().into();
        let published = client.publish_with_reply(subject.clone(), own.clone(), request);
        published.await.map_err(|error| failed(error.to_string()))?;
        let subjects = [subject.as_str(), own.as_str()];
        let delivered = tokio::select! {
            biased;
            delivered = inbox.next() => delivered,
            () = losses.next() => return Ok(Answer::Disconnected),
            why = forbidden(&mut said, &subjects) => {
                let servers = self.plan.servers();
                return Err(NatsError::Denied { servers, why });
            }
            // Someone listens to the subject who is no node, or the request was lost.
            () = sleep(self.plan.silence.min(ANSWER)) => return self.look_around().await,
        };
        let delivered = delivered.ok_or_else(|| failed("the inbox was closed".to_owned()))?;
        if delivered.status == Some(StatusCode::NO_RESPONDERS) {
            return self.look_around().await;
        }
        self.read(&delivered, losses, inbox)
    }

    /// Reads the first message of a node.
    fn read(
        &self,
        delivered: &Delivered,
        losses: Losses,
        inbox: Subscriber,
    ) -> Result<Answer, NatsError> {
        let failed = |why: &str| NatsError::no_answer(&self.hello, why);
        let message = Message::read(&delivered.payload);
        let message = message.map_err(|unreadable| failed(&unreadable.to_string()))?;
        if (message.number, message.taken) != (0, 0) {
            return Err(failed("it begins in the middle"));
        }
        match message.kind {
            Kind::Full => Ok(Answer::Full),
            Kind::Break => Err(failed(&message.reason())),
            Kind::Welcome => {
                let peer = delivered.reply.as_ref().map(|it| it.to_string());
                let peer = peer.filter(|it| self.plan.subjects.is_inbox(it));
                Ok(Answer::Welcome(Dialed {
                    losses,
                    inbox,
                    peer: peer.ok_or_else(|| failed("it has no inbox"))?,
                    silence: Duration::from_millis(message.left.into()).min(LONGEST_SILENCE),
                    most: least(
                        self.plan.most,
                        read_most(message.body)
                            .ok_or_else(|| failed("it does not say how much it takes"))?,
                    ),
                }))
            }
            _ => Err(failed("it is no answer")),
        }
    }

    /// Finds out why no node takes a request: because all are busy, or because none serves this.
    async fn look_around(&self) -> Result<Answer, NatsError> {
        let subjects = &self.plan.subjects;
        if self
            .look_at(subjects.here_exactly(&self.hello))
            .await
            .is_some()
        {
            return Ok(Answer::Full);
        }
        let other = self.look_at(subjects.here(&self.hello)).await;
        let theirs = other.and_then(|it| read_hello(&it.payload).ok());
        Err(NatsError::NoNode {
            contract: shown(&self.hello),
            why: theirs.and_then(|it| self.hello.accepts(&it).err()),
        })
    }

    async fn look_at(&self, subject: String) -> Option<Delivered> {
        let request = Request::new().timeout(Some(self.plan.silence.min(LONGEST_LOOK)));
        // A node that does not answer in time, or a subject that is forbidden, is as good as none.
        self.session
            .client()
            .send_request(subject, request)
            .await
            .ok()
    }
}

/// Ready once the server says that one of the subjects is forbidden, with what it says.
pub(crate) async fn forbidden(
    said: &mut tokio::sync::watch::Receiver<String>,
    subjects: &[&str],
) -> String {
    loop {
        if said.changed().await.is_err() {
            return std::future::pending().await;
        }
        let text = said.borrow_and_update().clone();
        if text.to_lowercase().contains("permissions violation")
            && subjects.iter().any(|it| text.contains(it))
        {
            return text;
        }
    }
}

impl Dialed {
    fn carrier(self, session: &Arc<Session>, plan: &Plan, signals: Arc<Signals>) -> Carrier {
        Carrier {
            session: Arc::clone(session),
            losses: self.losses,
            inbox: self.inbox,
            peer: self.peer,
            course: Course::new(most_of_frame(self.most)),
            signals,
            pace: Pace::new(plan.silence, self.silence),
        }
    }
}

/// The end of a link in the caller's program.
struct Caller {
    origin: Arc<Origin>,
    readiness: Readiness,
}

impl Caller {
    async fn carry(mut self, carrier: Carrier) {
        // The connection lasts until the last word is written.
        let session = Arc::clone(&carrier.session);
        match carrier.run(&mut self).await {
            Over::Ended(why) => self.origin.lose(Lost::Complete, &why),
            Over::Lost(why) => self.origin.lose(Lost::Incomplete, &why),
            Over::Closed => self.origin.lose(Lost::Incomplete, "the worker has let go"),
        }
        let _ = timeout(LAST_WORDS, session.client().flush()).await;
    }
}

/// The time for the last messages of a link to be written.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

impl End for Caller {
    fn next(&mut self) -> Option<Vec<u8>> {
        self.origin.outbox().take().map(|it| it.bytes)
    }

    fn waiting(&self) -> usize {
        // The calls of the pool bound them.
        0
    }

    fn give(&mut self, frame: Vec<u8>) -> Result<bool, String> {
        let received = self.origin.receive(frame.into());
        received.map(|()| true).map_err(|why| why.to_string())
    }

    fn going(&mut self) {
        self.readiness.not_serving();
        let origin = Arc::clone(&self.origin);
        tokio::spawn(async move {
            sleep(LAST_CALLS).await;
            origin.go_away();
        });
    }
}

/// A worker's hold on its link.
struct Hold {
    origin: Arc<Origin>,
    signals: Arc<Signals>,
    is_serving: Arc<AtomicBool>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.is_serving.store(false, Ordering::Release);
        self.origin.go_away();
        let why = "the worker was let go".to_owned();
        self.signals.close(Closing::Complete(why));
    }
}
