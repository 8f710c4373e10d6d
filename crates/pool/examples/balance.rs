//! Judges the policies of `Balance` by simulation, and prints the tables of `docs/pools.md`.
//!
//! `cargo run --release -p insula-pool --example balance`
//!
//! The pools are real and run on virtual time, so that the figures are the same on each machine: 8
//! workers with one place each, of which the first takes five times as long as the others. Calls come
//! at random times, so many that all workers together would be busy for two thirds of the time.
//!
//! Beside them are two models with a queue for each worker and no pool, as the literature has them. For
//! these there are formulas, which show that the calls are drawn as they should be.

#![expect(clippy::print_stdout, reason = "it prints tables")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use fastrand::Rng;
use insula_core::{Isolate, Runtime, sleep};
use insula_pool::{Balance, Latency, Measure, Queue, WorkerPool};
use insula_rpc::{Context, contract};

const WORKERS: usize = 8;
const CALLS: usize = 200_000;
/// The mean time of a call, on all workers but the slow one.
const MEAN: f64 = 0.010;
const SLOW: f64 = 5.0;
/// The part of the time for which the workers have work.
const LOAD: f64 = 2.0 / 3.0;
/// Each figure of a pool is the median of so many runs with different calls.
const RUNS: u64 = 9;

#[contract(crate = insula_rpc)]
trait Work {
    /// Takes this time, or longer on the slow worker.
    async fn take(&self, cx: &Context, time: Duration) -> Result<(), Infallible>;
}

struct Worker;

impl Work for Worker {
    async fn take(&self, cx: &Context, time: Duration) -> Result<(), Infallible> {
        let slow = if cx.worker().index() == 0 { SLOW } else { 1.0 };
        sleep(time.mul_f64(slow)).await;
        Ok(())
    }
}

/// How long calls take, and when they come.
#[derive(Clone, Copy)]
enum Kind {
    /// From nothing to twice the mean, each time as likely as the others.
    Uniform,
    /// 9 of 10 calls take a fifth of the mean, the others 8.2 times as long.
    Skewed,
    /// As uniform ones; 20 calls come at once.
    Bursty,
    /// A bounded Pareto distribution with the exponent 1.5: few calls take up to 300 times the mean.
    HeavyTailed,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] = [
        ("uniform", Self::Uniform),
        ("skewed", Self::Skewed),
        ("bursty", Self::Bursty),
        ("heavy-tailed", Self::HeavyTailed),
    ];

    /// The time of a call.
    fn time(self, random: &mut Rng) -> f64 {
        match self {
            Self::Uniform | Self::Bursty => 2.0 * MEAN * random.f64(),
            Self::Skewed if random.f64() < 0.9 => MEAN / 5.0,
            Self::Skewed => MEAN * 8.2,
            Self::HeavyTailed => {
                // The least value that gives this mean without the bound.
                let least = MEAN / 3.0;
                (least / (1.0 - random.f64()).powf(1.0 / 1.5)).min(300.0 * MEAN)
            }
        }
    }

    /// The time until the next call.
    fn pause(self, number: usize, random: &mut Rng) -> f64 {
        let capacity = (WORKERS - 1) as f64 + 1.0 / SLOW;
        let mean = MEAN / capacity / LOAD;
        match self {
            Self::Bursty if number.is_multiple_of(20) => 20.0 * exponential(mean, random),
            Self::Bursty => 0.0,
            _ => exponential(mean, random),
        }
    }
}

fn exponential(mean: f64, random: &mut Rng) -> f64 {
    -mean * (1.0 - random.f64()).ln()
}

/// The times that calls waited and took in all.
fn simulate(balance: &Balance, kind: Kind, seed: u64) -> (Latency, Latency) {
    let runtime = Runtime::builder().seeded(1).build();
    let balance = balance.clone();
    let run = move || async move {
        let pool = WorkerPool::builder()
            .workers(WORKERS)
            .queue(Queue::bounded(CALLS))
            .balance(balance)
            .measure(Measure::All)
            .service::<WorkResponder<_>>(|_cx| async { Ok(Worker) })
            .build()
            .await
            .expect("it starts");
        let caller: WorkCaller = pool.caller();
        let mut random = Rng::with_seed(seed);
        let mut calls = Vec::new();
        for number in 0..CALLS {
            let pause = kind.pause(number, &mut random);
            sleep(Duration::from_secs_f64(pause)).await;
            let time = Duration::from_secs_f64(kind.time(&mut random));
            calls.push(caller.take(time).start());
        }
        for call in calls {
            call.await.expect("an answer");
        }
        let stats = pool.stats();
        (stats.queue_wait, stats.latency)
    };
    let ran = runtime.block_on(async { Isolate::run_async(run).await });
    runtime.shut_down();
    ran.expect("an end")
}

type Part = fn(&(Latency, Latency)) -> &Latency;

/// Returns the cells of a policy: of the times that calls waited, and of those that they took in all.
fn cells(balance: &Balance, kind: Kind) -> [String; 2] {
    let runs: Vec<_> = (0..RUNS)
        .map(|seed| simulate(balance, kind, seed))
        .collect();
    let quantiles: [fn(&Latency) -> Duration; 3] = [|it| it.p50, |it| it.p99, |it| it.p999];
    let parts: [Part; 2] = [|it| &it.0, |it| &it.1];
    parts.map(|part| {
        let figures = quantiles.map(|quantile| {
            let mut times: Vec<_> = runs.iter().map(|it| quantile(part(it))).collect();
            times.sort_unstable();
            format!("{:.0}", times[times.len() / 2].as_secs_f64() * 1e3)
        });
        figures.join(" / ")
    })
}

/// A model with a queue for each worker: each call is put into the shortest one of so many that are drawn
/// at random. Returns for each call the time that it waits and the time that it takes in all.
fn queues(
    queues: usize,
    draws: usize,
    calls: usize,
    mut pause: impl FnMut(usize, &mut Rng) -> f64,
    mut time: impl FnMut(usize, &mut Rng) -> f64,
) -> Vec<(f64, f64)> {
    let mut random = Rng::with_seed(7);
    // For each queue, the times at which its calls end.
    let mut ends = vec![VecDeque::<f64>::new(); queues];
    let mut now = 0.0;
    let mut call = |number| {
        now += pause(number, &mut random);
        let drawn: Vec<_> = (0..draws).map(|_| random.usize(..queues)).collect();
        for &queue in &drawn {
            while ends[queue].front().is_some_and(|end| *end <= now) {
                ends[queue].pop_front();
            }
        }
        let shortest = drawn.into_iter().min_by_key(|&queue| ends[queue].len());
        let shortest = shortest.unwrap_or(0);
        let queue = &mut ends[shortest];
        let begin = queue.back().map_or(now, |end| end.max(now));
        let end = begin + time(shortest, &mut random);
        queue.push_back(end);
        (begin - now, end - now)
    };
    (0..calls).map(&mut call).collect()
}

/// The same calls and workers as in a pool, with a queue for each worker.
fn queued(draws: usize, kind: Kind) -> [String; 2] {
    let time = |worker: usize, random: &mut Rng| {
        let slow = if worker == 0 { SLOW } else { 1.0 };
        kind.time(random) * slow
    };
    let pause = |number, random: &mut Rng| kind.pause(number, random);
    let times = queues(WORKERS, draws, CALLS, pause, time);
    let (mut waits, mut all): (Vec<_>, Vec<_>) = times.into_iter().unzip();
    [&mut waits, &mut all].map(|times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[(times.len() as f64 * share) as usize] * 1e3;
        format!("{:.0} / {:.0} / {:.0}", at(0.5), at(0.99), at(0.999))
    })
}

/// The mean time of a call, waiting included, in means of the time that it takes alone, where that is
/// exponential and all of many workers are alike; and what theory says for it (Mitzenmacher 2001).
fn theory(draws: usize) -> (f64, f64) {
    const MANY: usize = 200;
    const CALLS: usize = 400_000;
    let pause = |_, random: &mut Rng| exponential(1.0 / MANY as f64 / LOAD, random);
    let times = queues(MANY, draws, CALLS, pause, |_, random| {
        exponential(1.0, random)
    });
    let sum: f64 = times.iter().map(|it| it.1).sum();
    let formula = (1..30).map(|i: i32| match draws {
        1 => LOAD.powi(i - 1),
        _ => LOAD.powf(2_f64.powi(i) - 2.0),
    });
    (sum / CALLS as f64, formula.sum())
}

fn main() {
    let policies = [
        ("`RoundRobin`", Balance::RoundRobin),
        ("`LeastLoaded`", Balance::LeastLoaded),
        ("`Random`", Balance::Random),
        ("`PowerOfTwo`", Balance::PowerOfTwo),
        (
            "`Weighted`, 1 to 5",
            Balance::weighted([1, 5, 5, 5, 5, 5, 5, 5]),
        ),
        ("`PeakEwma`", Balance::PeakEwma),
        ("`Adaptive`", Balance::Adaptive),
    ];
    let names = Kind::ALL.map(|(name, _)| name).join(" | ");
    let policies = policies.iter();
    let mut rows: Vec<_> = policies
        .map(|(name, balance)| (*name, Kind::ALL.map(|(_, kind)| cells(balance, kind))))
        .collect();
    let models = [
        ("a queue each, random", 1),
        ("a queue each, shorter of two", 2),
    ];
    rows.extend(models.map(|(name, draws)| (name, Kind::ALL.map(|it| queued(draws, it.1)))));
    for (title, which) in [("wait", 0), ("time in all", 1)] {
        println!("| {title} | {names} |\n|---|---|---|---|---|");
        for (name, cells) in &rows {
            let cells: Vec<_> = cells.iter().map(|it| it[which].as_str()).collect();
            println!("| {name} | {} |", cells.join(" | "));
        }
        println!();
    }
    println!("| a queue for each worker | simulated | formula |\n|---|---|---|");
    for (name, draws) in [("drawn at random", 1), ("the shorter of two", 2)] {
        let (simulated, formula) = theory(draws);
        println!("| {name} | {simulated:.2} | {formula:.2} |");
    }
}
