//! Questions with answers: messages that carry their reply, typed calls, calls to a pool, and
//! closures as isolates.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use insula::pool::{Balance, Health, Measure, Monitor, Queue, Rate, Recycle, WorkerEvent};
use insula::rpc::Respond;
use insula::{
    Context, Isolate, ReceivePort, ReplyTo, SendPort, WorkerPool, block_on, contract, serve,
    spawn_local,
};

use crate::drivers::executor::THREADS;
use crate::insula::Shape;
use crate::measure::Work;

/// An endpoint that adds one to a number.
pub(crate) trait Adder: Clone + Send + Sync + 'static {
    /// Starts the endpoint, on the current runtime.
    fn start() -> impl Future<Output = Self> + Send;

    /// Asks and waits for the answer.
    fn add_one(&self, value: u64) -> impl Future<Output = u64> + Send;
}

/// The askers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Askers {
    /// One isolate, one question at a time.
    One,
    /// A plain thread, one question at a time.
    Thread,
    /// This many tasks of one isolate (`spawn_local`).
    Locals(u64),
    /// This many futures of one task of an isolate (`join_all`).
    Futures(u64),
    /// This many isolates.
    Isolates(u64),
}

/// `askers` ask `count` times together, each one question at a time.
pub(crate) fn ask<A: Adder>(shape: Shape, askers: Askers, count: u64) -> Duration {
    if askers == Askers::Thread {
        return shape.run_beside(|| {
            block_on(async {
                let adder = A::start().await;
                let start = Instant::now();
                ask_repeatedly(&adder, count).await;
                start.elapsed()
            })
        });
    }
    shape.run(async move {
        let adder = A::start().await;
        let start = Instant::now();
        match askers {
            Askers::One | Askers::Thread => ask_repeatedly(&adder, count).await,
            Askers::Futures(askers) => {
                join_all((0..askers).map(|_| ask_repeatedly(&adder, count / askers))).await;
            }
            Askers::Locals(askers) => {
                all_ended(askers, |end| {
                    let adder = adder.clone();
                    spawn_local(async move {
                        ask_repeatedly(&adder, count / askers).await;
                        end.send(()).expect("the root waits");
                    });
                })
                .await;
            }
            Askers::Isolates(askers) => {
                all_ended(askers, |end| {
                    let asker = async move |adder: A| {
                        ask_repeatedly(&adder, count / askers).await;
                        end.send(()).expect("the root waits");
                    };
                    Isolate::spawn(asker, adder.clone());
                })
                .await;
            }
        }
        start.elapsed()
    })
}

async fn ask_repeatedly(adder: &impl Adder, count: u64) {
    for value in 0..count {
        assert_eq!(adder.add_one(value).await, value + 1);
    }
}

/// Starts `count` participants, each with a port to report its end to, and waits for all ends.
pub(super) async fn all_ended(count: u64, start: impl Fn(SendPort<()>)) {
    let mut ends = ReceivePort::new();
    for _ in 0..count {
        start(ends.send_port());
    }
    let mut ended = 0;
    while ends.recv().await.is_some() {
        ended += 1;
    }
    assert_eq!(ended, count, "each comes to its end");
}

/// An isolate that receives messages which carry their reply.
#[derive(Clone, Debug)]
pub(crate) struct Port(SendPort<Question>);

#[derive(Debug)]
struct Question(u64, ReplyTo<u64>);

impl Adder for Port {
    async fn start() -> Self {
        Self(Isolate::spawn_with_port(|port| {
            port.listen(|Question(value, reply)| reply.send(value + 1))
        }))
    }

    async fn add_one(&self, value: u64) -> u64 {
        let answer = self.0.ask(|reply| Question(value, reply)).await;
        answer.expect("the isolate answers")
    }
}

/// The calls that a worker answers.
#[contract]
pub(crate) trait Jobs {
    /// A no-op that can be checked.
    async fn add_one(&self, cx: &Context, value: u64) -> Result<u64, Infallible>;
    /// Computes.
    async fn compute(&self, cx: &Context, work: Work) -> Result<(), Infallible>;
}

#[derive(Debug)]
pub(crate) struct Worker;

impl Jobs for Worker {
    async fn add_one(&self, _cx: &Context, value: u64) -> Result<u64, Infallible> {
        Ok(value + 1)
    }

    async fn compute(&self, _cx: &Context, work: Work) -> Result<(), Infallible> {
        work.run();
        Ok(())
    }
}

/// An isolate that serves typed calls.
#[derive(Clone, Debug)]
pub(crate) struct Service(JobsCaller);

impl Adder for Service {
    async fn start() -> Self {
        let port = Isolate::spawn_with_port(|port| serve(port, JobsResponder::new(Worker)));
        Self(JobsCaller::over(port))
    }

    async fn add_one(&self, value: u64) -> u64 {
        self.0.add_one(value).await.expect("the service answers")
    }
}

/// A pool of two workers behind one queue, with default settings.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(super) caller: JobsCaller,
    /// Dropping it closes it.
    _pool: Arc<WorkerPool<JobsRequest>>,
}

impl Adder for Pool {
    async fn start() -> Self {
        let pool = WorkerPool::builder()
            .workers(THREADS)
            .service::<JobsResponder<_>>(|_cx| async { Ok(Worker) })
            .build()
            .await
            .expect("the workers start");
        Self {
            caller: pool.caller(),
            _pool: Arc::new(pool),
        }
    }

    async fn add_one(&self, value: u64) -> u64 {
        let answer = self.caller.add_one(value).await;
        answer.expect("a worker answers")
    }
}

/// The same with every option that concerns single calls.
#[derive(Clone, Debug)]
pub(crate) struct Equipped(Pool);

impl Adder for Equipped {
    async fn start() -> Self {
        let second = Duration::from_secs(1);
        let queue = Queue::bounded(1024)
            .bytes(1 << 30)
            .rate(Rate::per_second(u32::MAX))
            .codel(second / 20, second)
            .reject_hopeless();
        let pool = WorkerPool::builder()
            .workers(THREADS..=2 * THREADS)
            .queue(queue)
            .balance(Balance::Adaptive)
            .monitor(Monitor::memory().and_cpu())
            .measure(Measure::All)
            .recycle(Recycle::after_calls(u64::MAX).or_after_errors(u64::MAX))
            .health(Health::stuck_after(60 * second))
            .quarantine_after(2)
            .on_discard(|_call| {})
            .observe(|_event: &WorkerEvent| {})
            .service::<JobsResponder<_>>(|_cx| async { Ok(Worker) })
            .build()
            .await
            .expect("the workers start");
        Self(Pool {
            caller: pool.caller(),
            _pool: Arc::new(pool),
        })
    }

    async fn add_one(&self, value: u64) -> u64 {
        self.0.add_one(value).await
    }
}

/// A closure per job, each an isolate of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs;

impl Adder for Runs {
    async fn start() -> Self {
        Self
    }

    async fn add_one(&self, value: u64) -> u64 {
        let sum = Isolate::run(move || value + 1).await;
        sum.expect("the job does not panic")
    }
}
