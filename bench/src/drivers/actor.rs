//! Workloads of actors: state behind an address, reached by messages, with answers or without.

use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use futures_lite::future::block_on;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::case::Sample;
use crate::drivers::executor::give_way;
use crate::measure::{self, Countdown, Work, ns_each, stamp};

/// An actor crate on an executor of a given shape.
pub(crate) trait ActorSystem: Copy + Send + Sync + 'static {
    type Addr<B: Behavior<Self>>: Clone + Send + Sync + Unpin + 'static;

    /// Runs `root` as a task of the system and waits for it on the calling thread.
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Starts a plain task besides the actors; only inside [`run`](Self::run).
    fn spawn<F>(self, task: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Starts an actor whose mailbox holds at most `bound` messages (or any number, or the number
    /// that the crate allows).
    fn start<B: Behavior<Self>>(
        self,
        behavior: B,
        bound: Option<usize>,
    ) -> impl Future<Output = Self::Addr<B>> + Send;

    /// Sends without an answer, waiting for room.
    fn tell<B: Behavior<Self>>(addr: &Self::Addr<B>, value: u64)
    -> impl Future<Output = ()> + Send;

    /// Sends and waits for the answer.
    fn ask<B: Behavior<Self>>(addr: &Self::Addr<B>, value: u64)
    -> impl Future<Output = u64> + Send;

    /// Gives an actor its neighbor.
    fn link<B: Behavior<Self>>(
        addr: &Self::Addr<B>,
        next: Self::Addr<B>,
    ) -> impl Future<Output = ()> + Send;

    /// Ends the actor after the messages that it was sent so far, in the crate's own way.
    fn stop<B: Behavior<Self>>(addr: Self::Addr<B>) {
        drop(addr);
    }
}

/// The behavior of an actor, independent of any crate.
pub(crate) trait Behavior<S: ActorSystem>: Sized + Send + Sync + Unpin + 'static {
    /// Called once by the started actor.
    fn on_start(&mut self) {}

    /// Handles a message. Returns the next message and its receiver.
    fn on_tell(&mut self, value: u64) -> Option<(&S::Addr<Self>, u64)>;

    /// Returns the answer.
    fn on_ask(&mut self, value: u64) -> u64 {
        value + 1
    }

    fn on_link(&mut self, _next: S::Addr<Self>) {}
}

/// Sums the values that it receives, and reports after a given number.
struct Tally {
    left: u64,
    sum: u64,
    total: Option<oneshot::Sender<(u64, Instant)>>,
}

impl<S: ActorSystem> Behavior<S> for Tally {
    fn on_tell(&mut self, value: u64) -> Option<(&S::Addr<Self>, u64)> {
        self.sum += value;
        self.left -= 1;
        if self.left == 0
            && let Some(total) = self.total.take()
        {
            total
                .send((self.sum, Instant::now()))
                .expect("the case waits for the sum");
        }
        None
    }
}

/// `senders` tasks send `count` values together to one actor.
pub(crate) fn many_to_one<S: ActorSystem>(
    system: S,
    bound: Option<usize>,
    senders: u64,
    count: u64,
) -> Duration {
    let each = count / senders;
    system.run(async move {
        let (total, at_end) = oneshot::channel();
        let tally = Tally {
            left: each * senders,
            sum: 0,
            total: Some(total),
        };
        let addr = system.start(tally, bound).await;
        let start = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..senders {
            let addr = addr.clone();
            tasks.push(system.spawn(async move {
                for value in 0..each {
                    give_way(bound, value).await;
                    S::tell(&addr, value).await;
                }
            }));
        }
        join_all(tasks).await;
        let (sum, end) = at_end.await.expect("the actor lives until it has all");
        assert_eq!(sum, senders * (each * (each - 1) / 2));
        end - start
    })
}

/// Passes a token on to its neighbor.
struct Member<S: ActorSystem> {
    next: Option<S::Addr<Self>>,
    hops: u64,
    last: Option<oneshot::Sender<Instant>>,
}

impl<S: ActorSystem> Behavior<S> for Member<S> {
    fn on_tell(&mut self, hop: u64) -> Option<(&S::Addr<Self>, u64)> {
        if hop == self.hops {
            let last = self
                .last
                .take()
                .expect("the last hop reaches the last member");
            last.send(Instant::now())
                .expect("the case waits for the last hop");
            return None;
        }
        self.next.as_ref().map(|next| (next, hop + 1))
    }

    fn on_link(&mut self, next: S::Addr<Self>) {
        self.next = Some(next);
    }
}

/// A token goes around `members` actors `laps` times.
pub(crate) fn ring<S: ActorSystem>(system: S, members: u64, laps: u64) -> Duration {
    let hops = members * laps;
    system.run(async move {
        let (last, at_end) = oneshot::channel();
        let mut addrs = Vec::new();
        // Hop 1 reaches member 0, so the last hop reaches the last member.
        let mut last = Some(last);
        for index in 0..members {
            let last = if index == members - 1 {
                last.take()
            } else {
                None
            };
            addrs.push(
                system
                    .start(
                        Member {
                            next: None,
                            hops,
                            last,
                        },
                        None,
                    )
                    .await,
            );
        }
        for (index, addr) in addrs.iter().enumerate() {
            S::link(addr, addrs[(index + 1) % addrs.len()].clone()).await;
            assert_eq!(S::ask(addr, 0).await, 1, "the link has arrived");
        }
        let start = Instant::now();
        S::tell(&addrs[0], 1).await;
        let end = at_end.await.expect("the last member lives until the end");
        addrs.into_iter().for_each(S::stop);
        end - start
    })
}

/// Only answers.
struct Echo;

impl<S: ActorSystem> Behavior<S> for Echo {
    fn on_tell(&mut self, _value: u64) -> Option<(&S::Addr<Self>, u64)> {
        None
    }
}

/// One task asks `count` times, one question at a time.
pub(crate) fn ask_in_sequence<S: ActorSystem>(system: S, count: u64) -> Duration {
    system.run(async move {
        let addr = system.start(Echo, None).await;
        let start = Instant::now();
        ask_repeatedly::<S>(&addr, count).await;
        start.elapsed()
    })
}

async fn ask_repeatedly<S: ActorSystem>(addr: &S::Addr<Echo>, count: u64) {
    for value in 0..count {
        assert_eq!(S::ask(addr, value).await, value + 1);
    }
}

/// `askers` futures of one task ask `count` times together, each one question at a time.
pub(crate) fn ask_from_futures<S: ActorSystem>(system: S, askers: u64, count: u64) -> Duration {
    system.run(async move {
        let addr = system.start(Echo, None).await;
        let start = Instant::now();
        join_all((0..askers).map(|_| ask_repeatedly::<S>(&addr, count / askers))).await;
        start.elapsed()
    })
}

/// `askers` tasks ask `count` times together, each one question at a time.
pub(crate) fn ask_from_tasks<S: ActorSystem>(system: S, askers: u64, count: u64) -> Duration {
    system.run(async move {
        let addr = system.start(Echo, None).await;
        let start = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..askers {
            let addr = addr.clone();
            tasks.push(system.spawn(async move {
                ask_repeatedly::<S>(&addr, count / askers).await;
            }));
        }
        join_all(tasks).await;
        start.elapsed()
    })
}

/// One of very many actors: counts its start, its messages and its end.
struct Unit(Arc<Stages>);

struct Stages {
    started: Arc<Countdown>,
    touched: Arc<Countdown>,
    ended: Arc<Countdown>,
}

impl<S: ActorSystem> Behavior<S> for Unit {
    fn on_start(&mut self) {
        self.0.started.hit();
    }

    fn on_tell(&mut self, _value: u64) -> Option<(&S::Addr<Self>, u64)> {
        self.0.touched.hit();
        None
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.0.ended.hit();
    }
}

/// `count` actors alive at once: nanoseconds for each to start, to receive a message and to end,
/// and resident bytes of each when idle and after the first message. Run this in a fresh process.
pub(crate) fn lives<S: ActorSystem>(system: S, bound: Option<usize>, count: u64) -> Sample {
    system.run(async move {
        let ((started, all_started), (touched, all_touched)) =
            (Countdown::new(count), Countdown::new(count));
        let (ended, all_ended) = Countdown::new(count);
        let stages = Arc::new(Stages {
            started,
            touched,
            ended,
        });
        let mut addrs: Vec<S::Addr<Unit>> = Vec::with_capacity(count as usize);
        let before = measure::resident_bytes();
        let start = Instant::now();
        for _ in 0..count {
            addrs.push(system.start(Unit(Arc::clone(&stages)), bound).await);
        }
        all_started.await.expect("every actor starts");
        let spawned = start.elapsed();
        // The list of addresses is the benchmark's own.
        let list = count * size_of::<S::Addr<Unit>>() as u64;
        let idle = measure::resident_bytes().saturating_sub(before + list);

        let start = Instant::now();
        for addr in &addrs {
            S::tell(addr, 0).await;
        }
        all_touched.await.expect("every actor is reached");
        let pinged = start.elapsed();
        let used = measure::resident_bytes().saturating_sub(before + list);

        let start = Instant::now();
        addrs.into_iter().for_each(S::stop);
        all_ended.await.expect("every actor ends");
        let finished = start.elapsed();
        let bytes_each = |bytes: u64| bytes as f64 / count as f64;
        let [spawned, pinged, finished] = [spawned, pinged, finished].map(|t| ns_each(t, count));
        Sample(vec![
            spawned,
            pinged,
            finished,
            bytes_each(idle),
            bytes_each(used),
        ])
    })
}

/// Computes for a given time without a break when it receives a message.
struct Busy {
    work: Work,
    begun: Sender<()>,
    ended: Arc<Countdown>,
}

impl<S: ActorSystem> Behavior<S> for Busy {
    fn on_tell(&mut self, _value: u64) -> Option<(&S::Addr<Self>, u64)> {
        self.begun
            .send(())
            .expect("the case waits for the beginning");
        self.work.run();
        self.ended.hit();
        None
    }
}

/// Returns the stamps that it receives.
struct Answerer(Sender<u64>);

impl<S: ActorSystem> Behavior<S> for Answerer {
    fn on_tell(&mut self, sent: u64) -> Option<(&S::Addr<Self>, u64)> {
        self.0
            .send(sent)
            .expect("the pinging thread waits for all answers");
        None
    }
}

/// Returns how long a light actor takes to answer while `heavy` others compute for `length` each.
pub(crate) fn latency_under_load<S: ActorSystem>(
    system: S,
    heavy: u64,
    length: Duration,
) -> Sample {
    let work = Work::lasting(length);
    system.run(async move {
        let (answer, answers) = unbounded();
        let answerer = system.start(Answerer(answer), None).await;
        let (begun, begins) = bounded(heavy as usize);
        let (ended, all_ended) = Countdown::new(heavy);
        let mut busy = Vec::new();
        for _ in 0..heavy {
            let behavior = Busy {
                work,
                begun: begun.clone(),
                ended: Arc::clone(&ended),
            };
            busy.push(system.start(behavior, None).await);
        }
        let (measured, latencies) = oneshot::channel();
        let first_begins = begins.clone();
        let pinger = thread::spawn(move || {
            first_begins.recv().expect("the first heavy actor begins");
            let ping = |stamp| block_on(S::tell(&answerer, stamp));
            let sample = ping_every_millisecond(ping, &answers, length);
            measured
                .send(sample)
                .expect("the case waits for the latencies");
        });
        for addr in &busy {
            S::tell(addr, 0).await;
        }
        all_ended.await.expect("every heavy actor ends");
        // Dropped only here: the last ones may begin when the pinging thread has ended.
        drop(begins);
        let sample = latencies.await.expect("the pinging thread ends");
        pinger.join().expect("the pinging thread does not panic");
        sample
    })
}

/// Sends a stamp each millisecond for `length`, whether or not the last one was answered, then
/// waits for the missing answers. Returns p50, p99 and maximum in milliseconds.
///
/// If the kernel delays the calling thread, the pings that it could not send are skipped. Sending
/// them all at once would weigh one moment more than the others.
pub(crate) fn ping_every_millisecond(
    ping: impl Fn(u64),
    answers: &Receiver<u64>,
    length: Duration,
) -> Sample {
    const PERIOD: Duration = Duration::from_millis(1);
    let mut latencies = Vec::with_capacity(length.as_millis() as usize);
    let mut record = |sent: u64| latencies.push((stamp() - sent) as f64 / 1e6);
    let start = Instant::now();
    let mut missing = 0_u64;
    while start.elapsed() < length {
        let next = Instant::now() + PERIOD;
        ping(stamp());
        missing += 1;
        while let Ok(sent) = answers.recv_deadline(next) {
            record(sent);
            missing -= 1;
        }
    }
    for _ in 0..missing {
        record(answers.recv().expect("every ping is answered"));
    }
    latencies.sort_by(f64::total_cmp);
    Sample(
        [0.5, 0.99, 1.0]
            .map(|share| measure::percentile(&latencies, share))
            .to_vec(),
    )
}

/// Returns the CPU time (ms) and context switches over `length` of a process that holds `count`
/// idle actors. Run this in a fresh process.
pub(crate) fn idle<S: ActorSystem>(system: S, count: u64, length: Duration) -> Sample {
    system.run(async move {
        let (started, all_started) = Countdown::new(count);
        let (touched, _) = Countdown::new(count);
        let (ended, _) = Countdown::new(count);
        let stages = Arc::new(Stages {
            started,
            touched,
            ended,
        });
        let mut addrs: Vec<S::Addr<Unit>> = Vec::with_capacity(count as usize);
        for _ in 0..count {
            addrs.push(system.start(Unit(Arc::clone(&stages)), Some(16)).await);
        }
        all_started.await.expect("every actor starts");
        let (measured, sample) = oneshot::channel();
        let observer = thread::spawn(move || {
            measured
                .send(observe(length))
                .expect("the case waits for the numbers");
        });
        let sample = sample.await.expect("the observing thread ends");
        observer
            .join()
            .expect("the observing thread does not panic");
        addrs.into_iter().for_each(S::stop);
        sample
    })
}

/// Returns what this process uses while the calling thread sleeps: CPU time (ms) and context
/// switches.
pub(crate) fn observe(length: Duration) -> Sample {
    // Time for the work that follows a start (parking, freeing memory) to end.
    thread::sleep(Duration::from_millis(300));
    let (cpu, switches) = (measure::process_cpu(), measure::context_switches());
    thread::sleep(length);
    let cpu = measure::process_cpu() - cpu;
    let switches = measure::context_switches() - switches;
    Sample(vec![cpu.as_secs_f64() * 1e3, switches as f64])
}
