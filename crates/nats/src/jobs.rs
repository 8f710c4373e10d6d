//! Durable work: calls that the server keeps until a worker has answered them.
//!
//! # On the server
//! | what | name | what it has |
//! |---|---|---|
//! | a stream | `insula-jobs-NAME` | the jobs that were given and not done, under `insula.1.job.NAME.CONTRACT.VERSION.SCHEMA` |
//! | a consumer of it for each contract | `CONTRACT-VERSION-SCHEMA` | who has which job, and until when |
//! | a stream | `insula-dead-NAME` | the jobs that were given up, under `insula.1.dead.NAME...`, each with the reason |
//!
//! # The life of a job
//! 1. *Given.* The call is written as bytes, as for a link, and published. It is given once the server
//!    says that it is stored. The server drops one whose key it has seen within the window.
//! 2. *Taken.* A worker that has room asks for a job. It is this worker's for as long as it says so, three
//!    times in each patience; then the server gives it to another one.
//! 3. *Run.* The isolate of the worker makes the call of its pool. The connection's thread runs no code of
//!    the user.
//! 4. *Done.* The handler has answered, and the server forgets the job. If that cannot be said to the
//!    server, because the connection was lost, the job comes again: so its method is idempotent.
//! 5. *Again.* There was no answer: the call was rejected, the handler panicked, its worker died. The job
//!    comes again after a delay, which doubles each time.
//! 6. *Given up.* The handler has returned an error, the call cannot be read, or the attempts are used up.
//!    A copy is stored among the dead ones before the server forgets the job.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy};
use async_nats::jetstream::{self, Context};
use insula_rpc::wire::{Hello, Kept, WireContract, keep};
use insula_rpc::{
    Call, CallError, CallInfo, Caller, Calls, CancelledBy, Endpoint, Idempotent, Refusal, Reject,
    Ticket,
};

use crate::error::NatsError;
use crate::nats::Nats;
use crate::plan::Plan;
use crate::session::Session;
use crate::subjects::{Subjects, token_of};

mod work;

pub use work::{JobCalls, Working};

/// The longest time of a setting. The server counts in nanoseconds, which end after three centuries.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The bytes that are left in a message for headers, those of a dead job being the longest.
const HEADERS: usize = 2048;

/// The settings of durable work; see [`Nats::jobs`].
#[derive(Debug)]
#[must_use = "it does nothing until it is opened"]
pub struct JobsBuilder {
    nats: Nats,
    name: String,
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    attempts: u32,
    patience: Duration,
    window: Duration,
    delays: (Duration, Duration),
    replicas: usize,
}

/// Durable work under one name: calls that the server keeps, in [JetStream], until a worker has answered
/// them, even if their caller or a worker ends before that. Cheap to clone.
///
/// A job is a call without a caller that waits: the answer is dropped, and the effect of the handler is
/// what counts. Since a job may run twice (its worker ends after the answer and before the server knows
/// of it), only calls of [idempotent](Idempotent) methods can be jobs.
///
/// ```no_run
/// # use insula_nats::Nats;
/// # use insula_pool::WorkerPool;
/// # use insula_rpc::{Context, contract, wire::Never};
/// # #[contract(wire, crate = insula_rpc)]
/// # trait Mail {
/// #     #[idempotent]
/// #     async fn send(&self, cx: &Context, to: String) -> Result<(), Never>;
/// # }
/// # struct Post;
/// # impl Mail for Post {
/// #     async fn send(&self, _cx: &Context, _to: String) -> Result<(), Never> { Ok(()) }
/// # }
/// # insula_core::block_on(async {
/// # let nats = Nats::connect("nats://127.0.0.1:4222");
/// // Here the jobs are given:
/// let jobs = nats.jobs("mail").open().await?;
/// let mail: MailCaller = jobs.caller();
/// jobs.give(mail.send("ann@example".to_owned()).idempotency_key("order 7")).await?;
///
/// // There they are done, by the workers of a pool:
/// let jobs = nats.jobs("mail").open().await?;
/// let pool = WorkerPool::builder().service::<MailResponder<_>>(|_cx| async { Ok(Post) }).build().await?;
/// let working = jobs.work::<MailRequest>(pool.caller(), 4).await?;
/// # working.stop(std::time::Duration::from_secs(1)).await;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # });
/// ```
///
/// # What becomes of a job
/// | what happens | to the job |
/// |---|---|
/// | the handler answers | done |
/// | the worker's program ends, or its connection is lost, for the [patience](JobsBuilder::patience) | it goes to another worker |
/// | the call is rejected, its worker dies, the handler panics, its deadline passes | it comes again, after a delay, for as many [attempts](JobsBuilder::attempts) as there are |
/// | the attempts are used up | it is dead: kept aside, with the last reason |
/// | the handler returns its own error, the call cannot be read, or the answer cannot be written | the same, at once |
/// | the pool has no worker left | it comes again; this side pauses, each time for longer, as the [delay](JobsBuilder::delay) says |
/// | the pool has shut down | it goes to another worker; this side takes no more jobs ([`Working::is_over`]) |
/// | the contract gets another version or other types | it waits for a worker of those with which it was given: keep one until none is [waiting](Self::waiting) |
/// | the server ends | it has the jobs again when it starts, if its store is on a disk |
/// | the server loses its store | lost; those that are given later are done as ever |
///
/// Dead jobs are in a stream of their own, until they are removed with the tools of NATS: `nats stream
/// view insula-dead-NAME` shows them, with the headers `Insula-Why` and `Insula-Attempts`. The header
/// `Nats-Msg-Id` begins with the name and the [number](Given::number) of the job. With a
/// [prefix](Nats::prefix) the name of the stream begins with that, in which `-` takes the place of dots.
///
/// # Ordering
/// None is promised: a job that comes again comes after others.
///
/// # Permissions
/// Beside those of the [crate](crate#permissions), a user of jobs may publish to `$JS.API.>` and
/// `$JS.ACK.>`, and to `insula.1.job.>` and `insula.1.dead.>`. The first lets it manage all streams of its
/// account: give jobs an account of their own.
///
/// [JetStream]: https://docs.nats.io/nats-concepts/jetstream
#[derive(Clone)]
pub struct Jobs(Arc<Desk>);

struct Desk {
    plan: Arc<Plan>,
    session: Arc<Session>,
    context: Context,
    name: String,
    settings: Settings,
}

/// A job that the server has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Given {
    /// Its number among those that were given under the name, since the server has its stream.
    pub number: u64,
    /// A job with the same idempotency key was given before, within the
    /// [window](JobsBuilder::window). This one was not stored, and the number is that of the other one.
    pub is_duplicate: bool,
}

/// The error of a job that was not given.
#[non_exhaustive]
pub enum GiveError<E, Q> {
    /// It cannot be written as bytes.
    Unwritten(CallError<E, Q>),
    /// The server has not said that it is stored. It may be: give it again with its idempotency key,
    /// or with a handler that bears a second run.
    NotStored {
        /// The reason.
        why: NatsError,
        /// The request.
        request: Option<Q>,
    },
}

impl Nats {
    /// Begins the settings of [durable work](Jobs) under a name: letters, digits, `-` and `_`.
    pub fn jobs(&self, name: impl Into<String>) -> JobsBuilder {
        JobsBuilder {
            nats: self.clone(),
            name: name.into(),
            settings: Settings {
                attempts: 5,
                patience: Duration::from_secs(30),
                window: Duration::from_secs(120),
                delays: (Duration::from_secs(1), Duration::from_secs(60)),
                replicas: 1,
            },
        }
    }
}

impl Settings {
    /// Returns what the server could not keep to, or would understand otherwise.
    fn problem(&self) -> Option<&'static str> {
        let (first, longest) = self.delays;
        let is_fine = |time, least: u64| (Duration::from_millis(least)..=LONGEST).contains(&time);
        match () {
            () if !is_fine(self.patience, 1_000) => {
                Some("the patience of jobs is between a second and a year")
            }
            () if !is_fine(self.window, 100) => {
                Some("the window of jobs is between a tenth of a second and a year")
            }
            () if !is_fine(first.max(longest), 0) => Some("the delay of jobs is a year at most"),
            () => None,
        }
    }
}

impl JobsBuilder {
    /// Sets how often a job is tried before it is dead, at least once. It is tried each time that a worker
    /// gets it, also if that stops or ends before the answer. The setting of the program that does the job
    /// counts. The default is 5.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts.max(1);
        self
    }

    /// Sets the time without a sign of its worker after which a job goes to another one. A worker gives
    /// three signs in that time while the handler runs, so it need not be as long as a job. It is a second
    /// at least. The setting of the program that does jobs of a contract first counts. The default is 30
    /// seconds.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Sets the time for which the server knows the idempotency keys of jobs, a tenth of a second at
    /// least. The default is 2 minutes.
    pub fn window(mut self, window: Duration) -> Self {
        self.settings.window = window;
        self
    }

    /// Sets the wait before a job comes again: `first` after the first attempt, and twice as long after
    /// each further one, up to `longest`. The setting of the program that does the job counts. The default
    /// is from 1 to 60 seconds.
    pub fn delay(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.delays = (first, longest);
        self
    }

    /// Sets on how many servers of a cluster each job is stored. The default is 1.
    pub fn replicas(mut self, servers: usize) -> Self {
        self.settings.replicas = servers;
        self
    }

    /// Connects, and makes the streams unless they are there. The window and the replicas of streams
    /// that are there stay as they are, and so does the patience of jobs whose contract has had a worker.
    ///
    /// # Errors
    /// The settings make no sense, no server could be reached, or it has no JetStream.
    pub async fn open(self) -> Result<Jobs, NatsError> {
        let Self {
            nats,
            name,
            settings,
        } = self;
        let subjects = &nats.plan().subjects;
        if let Some(problem) = subjects.problem_of(&name) {
            return Err(NatsError::settings(problem));
        }
        if let Some(problem) = settings.problem() {
            return Err(NatsError::settings(problem));
        }
        let session = nats.shared().session(nats.plan()).await?;
        let client = session.client().clone();
        // On the connection's thread, since it starts a task.
        let context = session.run(async move { jetstream::new(client) }).await?;
        let desk = Arc::new(Desk {
            plan: Arc::clone(nats.plan()),
            session,
            context,
            name,
            settings,
        });
        let of = Arc::clone(&desk);
        desk.session.run(async move { of.make().await }).await??;
        Ok(Jobs(desk))
    }
}

impl Jobs {
    /// Makes a caller whose calls can be given. A call that is awaited in place of that is rejected with
    /// `NoWorker`.
    pub fn caller<K: Caller>(&self) -> K
    where
        K::Contract: WireContract,
    {
        K::from(Arc::new(Nowhere))
    }

    /// Gives a job: the server keeps the call until it is done. Its
    /// [idempotency key](Call::idempotency_key) says which jobs of its method are the same, within the
    /// [window](JobsBuilder::window); its deadline counts anew for each attempt. What is written of it has at most the `max_payload` of the server, a megabyte
    /// by default, without 2 KiB for headers: give large values by a name.
    ///
    /// # Cancellation
    /// Dropping the future leaves open whether the job was given.
    ///
    /// # Errors
    /// The call cannot be written, or the server has not stored it. The error returns the request.
    ///
    /// # Panics
    /// If the call was sent.
    pub async fn give<M>(&self, call: Call<M>) -> Result<Given, GiveError<M::Error, M::Request>>
    where
        M: Idempotent,
        M::Contract: WireContract,
    {
        let desk = &self.0;
        let kept = keep(call, desk.plan.most).map_err(GiveError::Unwritten)?;
        let Kept {
            message,
            request,
            idempotency_key,
            ..
        } = kept;
        let hello = Hello::of::<M::Contract>(desk.plan.most);
        let subject = desk.plan.subjects.of_job("job", &desk.name, &hello);
        let publish_bytes = message.bytes.len();
        let mut publish = PublishMessage::build().payload(message.bytes.into());
        if let Some(key) = idempotency_key {
            let (contract, method) = (token_of(&hello.contract), M::DESCRIPTOR.name);
            publish = publish.message_id(format!("{contract}.{method}.{}", token_of(&key)));
        }
        let (bytes, most) = (publish_bytes, desk.most_of_job());
        if bytes > most {
            let why = format!("it has {bytes} bytes, and the server takes {most} of a job");
            let why = NatsError::not_kept(&desk.plan, why);
            return Err(GiveError::NotStored { why, request });
        }
        match desk.publish(subject, publish).await {
            Ok(ack) => Ok(Given {
                number: ack.sequence,
                is_duplicate: ack.duplicate,
            }),
            Err(why) => Err(GiveError::NotStored { why, request }),
        }
    }

    /// Does jobs of a contract, at most `at_once` at a time, with the workers behind `calls`: that is
    /// `pool.caller()`, or any other caller's endpoint. Let `at_once` be at most the calls that the pool
    /// runs at once: a job that waits there keeps others of its kind from idle workers elsewhere, and one
    /// that the pool rejects loses an attempt. The isolate that makes the calls is one of the current
    /// runtime.
    ///
    /// # Cancellation
    /// The drop of [`Working`] cancels the calls that run: keep it for as long as jobs should be done.
    ///
    /// # Errors
    /// `at_once` is not between 1 and 65,536, or the server does not allow it.
    pub async fn work<C: WireContract>(
        &self,
        calls: JobCalls<C>,
        at_once: usize,
    ) -> Result<Working, NatsError> {
        if !(1..=1 << 16).contains(&at_once) {
            let problem = "a worker does between 1 and 65,536 jobs at once";
            return Err(NatsError::settings(problem));
        }
        let desk = Arc::clone(&self.0);
        let hello = Hello::of::<C>(desk.plan.most);
        let (of, what) = (Arc::clone(&desk), hello.clone());
        let opening = async move { of.consumer(&what).await };
        let consumer = desk.session.run(opening).await??;
        Ok(Working::start(desk, hello, consumer, calls, at_once))
    }

    /// Returns the number of jobs that are not done, of all contracts, those included that a worker has.
    ///
    /// # Errors
    /// The server does not say it.
    pub async fn waiting(&self) -> Result<u64, NatsError> {
        self.count("jobs").await
    }

    /// Returns the number of dead jobs.
    ///
    /// # Errors
    /// The server does not say it.
    pub async fn dead(&self) -> Result<u64, NatsError> {
        self.count("dead").await
    }

    async fn count(&self, what: &str) -> Result<u64, NatsError> {
        let desk = Arc::clone(&self.0);
        let name = desk.plan.subjects.stream(what, &desk.name);
        let count = async move {
            let stream = desk.context.get_stream(name).await;
            let stream = stream.map_err(|why| NatsError::jetstream(&desk.plan, &why))?;
            Ok(stream.cached_info().state.messages)
        };
        self.0.session.run(count).await?
    }
}

impl Desk {
    /// Makes the streams, unless they are there. On the thread of the connection.
    async fn make(&self) -> Result<(), NatsError> {
        let (subjects, settings) = (&self.plan.subjects, &self.settings);
        let streams = [
            Config {
                name: subjects.stream("jobs", &self.name),
                subjects: vec![subjects.all_of("job", &self.name)],
                retention: RetentionPolicy::WorkQueue,
                duplicate_window: settings.window,
                discard: DiscardPolicy::New,
                num_replicas: settings.replicas,
                ..Config::default()
            },
            Config {
                name: subjects.stream("dead", &self.name),
                subjects: vec![subjects.all_of("dead", &self.name)],
                num_replicas: settings.replicas,
                ..Config::default()
            },
        ];
        for config in streams {
            let (name, wanted) = (config.name.clone(), config.subjects.clone());
            let made = self.context.get_or_create_stream(config).await;
            let made = made.map_err(|why| NatsError::jetstream(&self.plan, &why))?;
            if made.cached_info().config.subjects != wanted {
                let problem = format!(
                    "the server has a stream {name} of something else: choose another name"
                );
                return Err(NatsError::settings(problem));
            }
        }
        Ok(())
    }

    /// The most bytes of a call that is a job.
    fn most_of_job(&self) -> usize {
        let most = self.session.client().max_payload();
        most.saturating_sub(HEADERS)
    }

    /// Returns the consumer of a contract, which is made unless it is there. On the thread of the
    /// connection.
    async fn consumer(&self, hello: &Hello) -> Result<PullConsumer, NatsError> {
        let subjects = &self.plan.subjects;
        let name = Subjects::consumer(hello);
        let config = pull::Config {
            durable_name: Some(name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.settings.patience,
            filter_subject: subjects.of_job("job", &self.name, hello),
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let stream = subjects.stream("jobs", &self.name);
        let stream = self.context.get_stream(stream).await;
        let stream = stream.map_err(|why| NatsError::jetstream(&self.plan, &why))?;
        let consumer = stream.get_or_create_consumer(&name, config).await;
        consumer.map_err(|why| NatsError::jetstream(&self.plan, &why))
    }

    /// Publishes a message, and returns once the server has stored it.
    async fn publish(
        self: &Arc<Self>,
        subject: String,
        message: PublishMessage,
    ) -> Result<PublishAck, NatsError> {
        let desk = Arc::clone(self);
        let publishing = async move { desk.store(subject, message).await };
        self.session.run(publishing).await?
    }

    /// As [`publish`](Self::publish), on the thread of the connection.
    async fn store(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<PublishAck, NatsError> {
        let mut stored = self.send(subject.clone(), message.clone()).await;
        // The server has lost its store, or the stream was removed.
        if let Err(why) = &stored
            && why.kind() == PublishErrorKind::StreamNotFound
        {
            self.make().await?;
            stored = self.send(subject, message).await;
        }
        stored.map_err(|why| NatsError::jetstream(&self.plan, &why))
    }

    async fn send(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<PublishAck, PublishError> {
        self.context.send_publish(subject, message).await?.await
    }
}

/// The endpoint of calls that are to be given: it makes none.
#[derive(Debug)]
struct Nowhere;

impl<C: Calls> Endpoint<C> for Nowhere {
    fn submit(&self, call: C, _info: CallInfo) -> Ticket {
        call.pending().refuse(Refusal::Rejected(Reject::NoWorker));
        Ticket::NONE
    }

    fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}
}

impl<E: fmt::Display, Q> fmt::Display for GiveError<E, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritten(why) => why.fmt(f),
            Self::NotStored { why, .. } => write!(f, "the job may not be stored: {why}"),
        }
    }
}

impl<E: fmt::Debug, Q> fmt::Debug for GiveError<E, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritten(why) => f.debug_tuple("Unwritten").field(why).finish(),
            Self::NotStored { why, request } => f
                .debug_struct("NotStored")
                .field("why", why)
                .field("has_request", &request.is_some())
                .finish(),
        }
    }
}

impl<E: fmt::Debug + fmt::Display, Q> std::error::Error for GiveError<E, Q> {}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs")
            .field("name", &self.0.name)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
