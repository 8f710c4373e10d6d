//! The side on which jobs are done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt as _;
use insula_core::{Isolate, ReceivePort, SendPort, spawn_local};
use insula_rpc::wire::{Performed, WireContract, accept};
use insula_rpc::{Caller, Endpoint};
use insula_sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::Desk;

/// How long one question for a job lasts at the server. A worker that stops waits for the end of its
/// question: a job sent to a question that was dropped would lose an attempt, and come again late.
const QUESTION: Duration = Duration::from_secs(1);

/// The wait after a question that has failed, as while the server is away.
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
    /// The jobs that are being done.
    running: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
}

impl Working {
    /// Starts the isolate that makes the calls, and the task that takes jobs.
    pub(super) fn start<C: WireContract>(
        desk: Arc<Desk>,
        consumer: PullConsumer,
        calls: JobCalls<C>,
        at_once: usize,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let seats = Arc::new(Semaphore::new(at_once));
        let running = Arc::<AtomicUsize>::default();
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
            consumer,
            orders,
            seats: Arc::clone(&seats),
            running: Arc::clone(&running),
            stopping,
        };
        desk.session.spawn(taking.run());
        Self {
            desk,
            isolate,
            seats,
            at_once,
            running,
            stop,
        }
    }

    /// Returns the number of jobs that are being done.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Takes no more jobs, and gives those that run `patience` to finish. What is left then is
    /// cancelled, and comes again. Takes a second if it waits for a job just now.
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
    consumer: PullConsumer,
    orders: SendPort<Order>,
    seats: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
    stopping: watch::Receiver<bool>,
}

/// The place of a job that is being done.
struct Seat {
    running: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Taking {
    async fn run(mut self) {
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&self.seats).acquire_owned() => permit,
                () = stopped(&mut self.stopping) => return,
            };
            let Ok(permit) = permit else { return };
            let Some(job) = self.next().await else { return };
            self.running.fetch_add(1, Ordering::Relaxed);
            let seat = Seat {
                running: Arc::clone(&self.running),
                _permit: permit,
            };
            let (desk, orders) = (Arc::clone(&self.desk), self.orders.clone());
            tokio::spawn(attend(desk, orders, job, seat));
        }
    }

    /// The next job, whenever there is one; `None` once the work is to stop.
    async fn next(&self) -> Option<Message> {
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
                // There is no connection, or the stream was removed.
                Err(Away) => sleep(PAUSE).await,
            }
        }
    }

    async fn ask(&self) -> Result<Option<Message>, Away> {
        let question = self.consumer.fetch().max_messages(1).expires(QUESTION);
        let mut answers = question.messages().await.map_err(|_| Away)?;
        answers.next().await.transpose().map_err(|_| Away)
    }

    /// Also if the isolate has ended, as with its runtime: each job would only lose an attempt here.
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.orders.is_closed()
    }
}

/// The server has not answered, or with an error.
struct Away;

/// Ready once the work is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that it was let go.
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
}

/// Has the isolate run a job, and says meanwhile that it is being done.
async fn attend(desk: Arc<Desk>, orders: SendPort<Order>, job: Message, _seat: Seat) {
    let delivered = job.info().map_or(1, |info| info.delivered);
    let attempts = u32::try_from(delivered).unwrap_or(u32::MAX);
    if attempts > desk.settings.attempts {
        // Each worker that had it ended without a word.
        let why = "its workers have ended while they had it";
        return desk.bury(&job, why, attempts - 1).await;
    }
    let (tell, mut told) = oneshot::channel();
    let bytes = job.payload.to_vec();
    let is_sent = orders.send(Order { bytes, tell }).is_ok();
    let ran = loop {
        if !is_sent {
            break None;
        }
        tokio::select! {
            ran = &mut told => break ran.ok(),
            () = sleep(desk.settings.patience / 3) => {
                // If it is not heard, the job comes again elsewhere.
                let _ = job.ack_with(AckKind::Progress).await;
            }
        }
    };
    match ran {
        Some(ran) => desk.settle(&job, ran, attempts).await,
        // The work was let go: the job need not wait.
        None => {
            let _ = job.ack_with(AckKind::Nak(None)).await;
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
        match ran {
            Ok(Performed::Answered) => self.forget(job).await,
            Ok(Performed::NotAnswered(_)) if attempts < self.settings.attempts => {
                let again = AckKind::Nak(Some(self.delay(attempts)));
                // If it is not heard, the job comes again after the patience.
                let _ = job.ack_with(again).await;
            }
            Ok(Performed::NotAnswered(why)) => self.bury(job, &why, attempts).await,
            // No attempt would read it.
            Err(why) => self.bury(job, &why, attempts).await,
            Ok(_) => {
                let why = "its handler has returned an error";
                self.bury(job, why, attempts).await;
            }
        }
    }

    /// Has the server forget a job that is done. If it does not hear it, the job comes again.
    async fn forget(&self, job: &Message) {
        for _ in 0..3 {
            if job.double_ack().await.is_ok() {
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
        let mut copy = PublishMessage::build()
            .payload(job.payload.clone())
            .header(WHY, header(why).as_str())
            .header(ATTEMPTS, attempts.to_string().as_str());
        // It comes again if the server does not hear that it is to be forgotten.
        if let Ok(info) = job.info() {
            copy = copy.message_id(format!("{}.{}", self.name, info.stream_sequence));
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
