//! The side on which jobs are done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt as _;
use insula_core::{Isolate, ReceivePort, SendPort, spawn_local};
use insula_rpc::wire::{Hello, Performed, WireContract, accept};
use insula_rpc::{Caller, Endpoint, Reject};
use insula_sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Desk;

/// How long one question for a job lasts at the server. A worker that stops waits for the end of its
/// question: a job sent to a question that was dropped would lose an attempt, and come again late.
const QUESTION: Duration = Duration::from_secs(1);

/// The wait after a question that has failed, as during a restart of the server.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest reason that is stored with a job.
const LONGEST_REASON: usize = 500;

/// The headers of a dead job.
const WHY: &str = "Insula-Why";
const ATTEMPTS: &str = "Insula-Attempts";

/// Calls of a contract that jobs become: an endpoint of a pool, as [`Jobs::work`](super::Jobs::work) takes it.
#[derive(Debug)]
pub struct JobCalls<C>(Arc<dyn Endpoint<C>>);

impl<C> From<Arc<dyn Endpoint<C>>> for JobCalls<C> {
    fn from(endpoint: Arc<dyn Endpoint<C>>) -> Self {
        Self(endpoint)
    }
}

impl<C: WireContract> Caller for JobCalls<C> {
    type Contract = C;
}

/// Does jobs until it is stopped.
///
/// # Cancellation
/// Its drop cancels the calls that run; their jobs come again, here or elsewhere.
#[must_use = "its drop ends the work"]
pub struct Working {
    desk: Arc<Desk>,
    isolate: Isolate,
    seats: Arc<Semaphore>,
    at_once: usize,
    state: Arc<State>,
    stop: watch::Sender<bool>,
}

/// What the two sides of the work know of each other.
#[derive(Default)]
struct State {
    /// The jobs that are being done.
    running: AtomicUsize,
    /// No more are taken.
    is_over: AtomicBool,
    /// The jobs in a row for which the pool had no worker.
    refusals: AtomicU32,
}

impl Working {
    /// Starts the isolate that makes the calls, and the task that takes jobs.
    pub(super) fn start<C: WireContract>(
        desk: Arc<Desk>,
        hello: Hello,
        consumer: PullConsumer,
        calls: JobCalls<C>,
        at_once: usize,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let seats = Arc::new(Semaphore::new(at_once));
        let state = Arc::<State>::default();
        let most = desk.plan.most;
        // Without a bound of its own: there are as many jobs as seats.
        let builder = Isolate::builder().name(format!("jobs {}", desk.name));
        let (isolate, orders) = builder.spawn_pair(move |orders: ReceivePort<Order>| {
            orders.listen(move |order| {
                spawn_local(order.carry_out(Arc::clone(&calls.0), most));
            });
        });
        let taking = Taking {
            desk: Arc::clone(&desk),
            hello,
            consumer,
            orders,
            seats: Arc::clone(&seats),
            state: Arc::clone(&state),
            stopping,
        };
        desk.session.spawn(taking.run());
        Self {
            desk,
            isolate,
            seats,
            at_once,
            state,
            stop,
        }
    }

    /// Returns the number of jobs that are being done.
    pub fn running(&self) -> usize {
        self.state.running.load(Ordering::Relaxed)
    }

    /// Returns whether no more jobs are taken: its pool or its runtime has shut down, or the connection
    /// has ended. That a pool has shut down is known once it has refused a job.
    pub fn is_over(&self) -> bool {
        self.state.is_over.load(Ordering::Relaxed)
    }

    /// Takes no more jobs, and gives those that run `patience` to finish. What is left then is
    /// cancelled, and comes again. Takes up to a second if it waits for a job just now, and some more after
    /// the connection was lost, but never longer than `patience`.
    pub async fn stop(self, patience: Duration) {
        self.stop.send_replace(true);
        let seats = Arc::clone(&self.seats);
        let all = u32::try_from(self.at_once).unwrap_or(u32::MAX);
        let ended = async move {
            // An error says that the time is over.
            let _ = timeout(patience, seats.acquire_many(all)).await;
        };
        // An error says that there is nothing left to wait for.
        let _ = self.desk.session.run(ended).await;
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // Its calls are cancelled, which tells the jobs.
        self.isolate.kill();
    }
}

/// A job for the isolate.
struct Order {
    bytes: Vec<u8>,
    tell: oneshot::Sender<Ran>,
}

/// How the call of a job has ended, or why it cannot be read.
type Ran = Result<Performed, String>;

impl Order {
    async fn carry_out<C: WireContract>(self, endpoint: Arc<dyn Endpoint<C>>, most: usize) {
        let ran = match accept::<C>(&self.bytes.into(), most) {
            Ok(accepted) => Ok(accepted.perform(endpoint).await),
            Err(why) => Err(why.to_string()),
        };
        // The connection may have ended.
        let _ = self.tell.send(ran);
    }
}

/// Takes jobs while there are free seats.
struct Taking {
    desk: Arc<Desk>,
    hello: Hello,
    consumer: PullConsumer,
    orders: SendPort<Order>,
    seats: Arc<Semaphore>,
    state: Arc<State>,
    stopping: watch::Receiver<bool>,
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
    }
}

impl Taking {
    async fn run(mut self) {
        while let Some(seat) = self.seat().await
            && let Some(job) = self.next().await
        {
            let attended = Attended {
                desk: Arc::clone(&self.desk),
                running: Some(Running::new(&self.state)),
                state: Arc::clone(&self.state),
                stopping: self.stopping.clone(),
                // The consumer may be older than the settings, and less patient.
                sign: self.consumer.cached_info().config.ack_wait / 3,
                _seat: seat,
            };
            tokio::spawn(attended.run(self.orders.clone(), job));
        }
    }

    /// A free seat; `None` once the work is to stop.
    async fn seat(&mut self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            seat = Arc::clone(&self.seats).acquire_owned() => seat.ok(),
            () = stopped(&mut self.stopping) => None,
        }
    }

    /// The next job, whenever there is one; `None` once the work is to stop.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if self.is_stopping() {
                return None;
            }
            match self.ask().await {
                Ok(None) => {}
                Ok(Some(job)) if self.is_stopping() => {
                    // If it is not heard, the job comes again after the patience.
                    let _ = job.ack_with(AckKind::Nak(None)).await;
                }
                Ok(job) => return job,
                Err(Away) => {
                    let mut stopping = self.stopping.clone();
                    tokio::select! {
                        () = self.renew() => {}
                        () = stopped(&mut stopping) => {}
                    }
                }
            }
        }
    }

    async fn ask(&self) -> Result<Option<Message>, Away> {
        let begin = Instant::now();
        let question = self.consumer.fetch().max_messages(1).expires(QUESTION);
        let mut answers = question.messages().await.map_err(|_| Away)?;
        let answer = answers.next().await.transpose().map_err(|_| Away)?;
        // That there is no job the server says in time. If it says nothing, not even that it does not
        // know the consumer, the client ends the question some seconds later.
        match answer.is_none() && begin.elapsed() > 2 * QUESTION {
            true => Err(Away),
            false => Ok(answer),
        }
    }

    /// Makes the streams and the consumer again, if the server has lost them with its store. It may be
    /// out of reach: then the next question fails as well.
    async fn renew(&mut self) {
        sleep(PAUSE).await;
        if self.desk.make().await.is_ok()
            && let Ok(consumer) = self.desk.consumer(&self.hello).await
        {
            self.consumer = consumer;
        }
    }

    /// Also if the isolate has ended, as with its runtime, or the pool: each job would only lose an attempt
    /// here.
    fn is_stopping(&self) -> bool {
        let is_over = self.state.is_over.load(Ordering::Relaxed);
        is_over || *self.stopping.borrow() || self.orders.is_closed()
    }
}

/// The server has not answered, or with an error.
struct Away;

/// Ready once the work is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that it was let go.
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
}

/// A job that is being done.
struct Attended {
    desk: Arc<Desk>,
    /// Until it has ended.
    running: Option<Running>,
    state: Arc<State>,
    stopping: watch::Receiver<bool>,
    /// The time between two signs.
    sign: Duration,
    _seat: OwnedSemaphorePermit,
}

/// Counts a job.
struct Running(Arc<State>);

impl Running {
    fn new(state: &Arc<State>) -> Self {
        state.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Attended {
    /// Has the isolate run the job, and says meanwhile that it is being done.
    async fn run(mut self, orders: SendPort<Order>, job: Message) {
        let desk = Arc::clone(&self.desk);
        let delivered = job.info().map_or(1, |info| info.delivered);
        let attempts = u32::try_from(delivered).unwrap_or(u32::MAX);
        if attempts > desk.settings.attempts {
            // Each worker that had it ended without a word.
            let why = "its workers have ended while they had it";
            return desk.bury(&job, why, attempts - 1).await;
        }
        match self.have_run(orders, &job).await {
            Some(ran) => {
                let pause = self.look_at(&ran);
                desk.settle(&job, ran, attempts).await;
                self.running = None;
                if let Some(pause) = pause {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = stopped(&mut self.stopping) => {}
                    }
                }
            }
            // The work was let go: the job need not wait.
            None => {
                let _ = job.ack_with(AckKind::Nak(None)).await;
            }
        }
    }

    async fn have_run(&self, orders: SendPort<Order>, job: &Message) -> Option<Ran> {
        let (tell, mut told) = oneshot::channel();
        let bytes = job.payload.to_vec();
        orders.send(Order { bytes, tell }).ok()?;
        loop {
            tokio::select! {
                ran = &mut told => return ran.ok(),
                () = sleep(self.sign) => {
                    // If it is not heard, the job comes again elsewhere.
                    let _ = job.ack_with(AckKind::Progress).await;
                }
            }
        }
    }

    /// Looks whether the pool still takes calls. One that has shut down ends the work, which would only
    /// take jobs away from others. One without a worker may get one: it gives the time for which this seat
    /// stays taken.
    fn look_at(&self, ran: &Ran) -> Option<Duration> {
        let state = &self.state;
        match ran {
            Ok(Performed::Rejected(Reject::Shutdown)) => {
                state.is_over.store(true, Ordering::Relaxed);
                None
            }
            Ok(Performed::Rejected(Reject::NoWorker)) => {
                let refusals = state.refusals.fetch_add(1, Ordering::Relaxed);
                Some(self.desk.delay(refusals.saturating_add(1)))
            }
            _ => {
                state.refusals.store(0, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Desk {
    /// The wait before a job comes again.
    fn delay(&self, attempts: u32) -> Duration {
        let (first, longest) = self.settings.delays;
        let doubled = 1_u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX);
        first.saturating_mul(doubled).min(longest)
    }

    /// Has the job done, again or dead, by how its call has ended.
    async fn settle(&self, job: &Message, ran: Ran, attempts: u32) {
        let why = match ran {
            Ok(Performed::Answered) => return self.forget(job).await,
            Ok(Performed::Rejected(Reject::Shutdown)) => {
                // Others need not wait.
                let _ = job.ack_with(AckKind::Nak(None)).await;
                return;
            }
            Ok(Performed::NotAnswered(why)) => why,
            Ok(Performed::Rejected(why)) => why.to_string(),
            // No attempt would read it, or write its answer.
            Err(why) | Ok(Performed::Unwritten(why)) => {
                return self.bury(job, &why, attempts).await;
            }
            Ok(_) => {
                let why = "its handler has returned an error";
                return self.bury(job, why, attempts).await;
            }
        };
        if attempts < self.settings.attempts {
            let again = AckKind::Nak(Some(self.delay(attempts)));
            // If it is not heard, the job comes again after the patience.
            let _ = job.ack_with(again).await;
        } else {
            self.bury(job, &why, attempts).await;
        }
    }

    /// Has the server forget a job that is done. If it does not hear it, the job comes again.
    async fn forget(&self, job: &Message) {
        let Some(to) = &job.reply else { return };
        for _ in 0..3 {
            // Not `double_ack`, which takes it for an answer that there is none to hear it.
            let acked = self.session.client().request(to.clone(), "+ACK".into());
            if acked.await.is_ok() {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Keeps a job aside that was given up, and has the server forget it after that.
    async fn bury(&self, job: &Message, why: &str, attempts: u32) {
        let jobs = self.plan.subjects.all_of("job", &self.name);
        let dead = self.plan.subjects.all_of("dead", &self.name);
        let begins = |subject: &str| subject.trim_end_matches('>').to_owned();
        let rest = job.subject.strip_prefix(&begins(&jobs)).unwrap_or_default();
        // The server may take smaller messages than when the job was given.
        let fits = job.payload.len() <= self.most_of_job();
        let payload = if fits { job.payload.clone() } else { "".into() };
        let mut copy = PublishMessage::build()
            .payload(payload)
            .header(WHY, header(why).as_str())
            .header(ATTEMPTS, attempts.to_string().as_str());
        // It comes again if the server does not hear that it is to be forgotten.
        if let Ok(info) = job.info() {
            // The number alone comes again, if the stream of jobs was removed and made anew.
            let (number, given) = (info.stream_sequence, info.published.unix_timestamp_nanos());
            copy = copy.message_id(format!("{}.{number}.{given}", self.name));
        }
        match self.store(format!("{}{rest}", begins(&dead)), copy).await {
            Ok(_) => self.forget(job).await,
            Err(_) => {
                let _ = job.ack_with(AckKind::Nak(Some(self.delay(attempts)))).await;
            }
        }
    }
}

/// A text that a header may have: visible ASCII, and not too long.
fn header(text: &str) -> String {
    let shown = |letter: char| match letter {
        ' '..='~' => letter,
        _ => '?',
    };
    text.chars().take(LONGEST_REASON).map(shown).collect()
}

impl fmt::Debug for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Working")
            .field("name", &self.desk.name)
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_no_line_of_its_own() {
        assert_eq!(header("a\r\nNats-Msg-Id: b é"), "a??Nats-Msg-Id: b ?");
        assert_eq!(header(&"a".repeat(10_000)).len(), LONGEST_REASON);
    }
}
