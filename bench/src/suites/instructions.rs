//! Instructions per operation, counted under callgrind.
//!
//! Counts do not depend on the machine's load, so they show what a change costs where times only
//! show noise. Each operation runs in a child process under valgrind, on a runtime of one thread,
//! many times and few times; the difference is the operation's own. They say nothing about waiting,
//! caches or several threads: that is what the other suites are for.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::Command;

use futures_util::{Stream, stream};
use insula::rpc::{Respond, map};
use insula::{Context, Isolate, ReceivePort, ReplyTo, Runtime, WorkerPool, contract, serve};
use insula_sync::atomic::{AtomicU64, Ordering};

use crate::case::{Case, Kind, Metric};
use crate::peers::runtimes::Runtimes;
use crate::peers::stakker;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "instructions",
    about: "instructions per operation, counted under valgrind",
    cases,
};

// The numbers of `cargo xtask budget`, so that the two can be compared.
const FEW: u64 = 1_000;
const MANY: u64 = 21_000;

const EACH: Metric = Metric::lower("operation", "instructions");

struct Operation {
    case: &'static str,
    system: &'static str,
    kind: Kind,
    package: &'static str,
    run: fn(u64),
}

const OPERATIONS: &[Operation] = &[
    ours("a question and its answer", "", ask),
    peer(
        "a question and its answer",
        "tokio mpsc and oneshot",
        Kind::Actor,
        "tokio",
        tokio_ask,
    ),
    peer(
        "a question and its answer",
        "stakker, one thread",
        Kind::Actor,
        "stakker",
        stakker_ask,
    ),
    ours("a job and its result", "serve", call),
    ours("a job and its result", "pool", pool),
    peer(
        "a job and its result",
        "tokio spawn",
        Kind::Pool,
        "tokio",
        tokio_spawn,
    ),
    ours("jobs in a batch", "serve, map", map_served),
    ours("jobs in a batch", "pool, map", map_pool),
    peer(
        "jobs in a batch",
        "rayon scope",
        Kind::Pool,
        "rayon",
        rayon_scope,
    ),
    ours("an item of a stream", "", item),
];

const fn ours(case: &'static str, system: &'static str, run: fn(u64)) -> Operation {
    peer(case, system, Kind::Rpc, PACKAGE, run)
}

const fn peer(
    case: &'static str,
    system: &'static str,
    kind: Kind,
    package: &'static str,
    run: fn(u64),
) -> Operation {
    Operation {
        case,
        system,
        kind,
        package,
        run,
    }
}

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, operation) in OPERATIONS.iter().enumerate() {
        if cases.last().is_none_or(|case| case.name != operation.case) {
            cases.push(Case::new("instructions", operation.case, &[EACH]).max_runs(1));
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        let name = match operation.package {
            PACKAGE => format!("insula {}", operation.system).trim_end().to_owned(),
            _ => operation.system.to_owned(),
        };
        let version = versions::of(operation.package);
        case.add(name, operation.kind, version, move |_scale| {
            let counted = [MANY, FEW].map(|times| count(index, times));
            let [Ok(many), Ok(few)] = counted else {
                return f64::NAN;
            };
            many.saturating_sub(few) as f64 / (MANY - FEW) as f64
        });
    }
    cases
}

/// Counts the instructions of a child process that does an operation so many times.
fn count(index: usize, times: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .arg(format!("--operation={index}:{times}"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = said.lines().find_map(|line| {
        let (_, count) = line.split_once("Collected :")?;
        count.trim().parse().ok()
    });
    counted.ok_or_else(|| io::Error::other(format!("valgrind did not count: {said}")))
}

/// Does the operation of this index so many times: `index:times`.
pub(crate) fn run(what: &str) -> io::Result<()> {
    let parsed = what.split_once(':').and_then(|(index, times)| {
        let operation = OPERATIONS.get(index.parse::<usize>().ok()?)?;
        Some((operation, times.parse().ok()?))
    });
    let (operation, times) =
        parsed.ok_or_else(|| io::Error::other(format!("no operation and number: {what}")))?;
    (operation.run)(times);
    Ok(())
}

#[contract]
trait Echo {
    async fn echo(&self, cx: &Context, number: u64) -> Result<u64, Infallible>;
    async fn count(
        &self,
        cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Infallible>>, Infallible>;
}

struct Service;

impl Echo for Service {
    async fn echo(&self, _cx: &Context, number: u64) -> Result<u64, Infallible> {
        Ok(number)
    }

    async fn count(
        &self,
        _cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Infallible>>, Infallible> {
        Ok(stream::iter((0..up_to).map(Ok)))
    }
}

/// Runs a future in an isolate, on a runtime of one thread.
fn in_isolate<F: Future<Output = ()> + Send + 'static>(make: impl FnOnce() -> F + Send + 'static) {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    assert_eq!(Isolate::run_async(make).wait(), Ok(()));
}

fn ask(n: u64) {
    in_isolate(async move || {
        let port = Isolate::spawn_with_port(|port: ReceivePort<(u64, ReplyTo<u64>)>| {
            port.listen(|(number, reply)| reply.send(number));
        });
        for number in 0..n {
            assert_eq!(port.ask(|reply| (number, reply)).await, Ok(number));
        }
    });
}

fn served() -> EchoCaller {
    EchoCaller::over(Isolate::spawn_with_port(|port| {
        serve(port, EchoResponder::new(Service))
    }))
}

async fn one_by_one(caller: EchoCaller, n: u64) {
    for number in 0..n {
        assert_eq!(caller.echo(number).await.ok(), Some(number));
    }
}

async fn in_batches(caller: EchoCaller, n: u64) {
    let mut answers = map(0..n, |number| caller.echo(number)).concurrency(64);
    for number in 0..n {
        assert_eq!(answers.next().await.and_then(Result::ok), Some(number));
    }
}

async fn with_pool<F: Future<Output = ()>>(with: impl FnOnce(EchoCaller) -> F) {
    let pool = WorkerPool::builder()
        .workers(1)
        .service::<EchoResponder<_>>(|_cx| async { Ok(Service) })
        .build()
        .await
        .expect("the worker starts");
    with(pool.caller()).await;
}

fn call(n: u64) {
    in_isolate(async move || one_by_one(served(), n).await);
}

fn pool(n: u64) {
    in_isolate(async move || with_pool(|caller| one_by_one(caller, n)).await);
}

fn map_served(n: u64) {
    in_isolate(async move || in_batches(served(), n).await);
}

fn map_pool(n: u64) {
    in_isolate(async move || with_pool(|caller| in_batches(caller, n)).await);
}

fn item(n: u64) {
    in_isolate(async move || {
        let mut items = served().count(n).await.expect("the stream opens");
        for number in 0..n {
            assert_eq!(items.next().await.and_then(Result::ok), Some(number));
        }
    });
}

fn in_tokio<F: Future<Output = ()> + Send + 'static>(future: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("the runtime starts");
    let done = runtime.block_on(runtime.spawn(future));
    done.expect("the task ends");
}

fn tokio_ask(n: u64) {
    use tokio::sync::{mpsc, oneshot};
    in_tokio(async move {
        let (tx, mut rx) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(16);
        tokio::spawn(async move {
            while let Some((number, reply)) = rx.recv().await {
                reply.send(number).expect("the asker waits");
            }
        });
        for number in 0..n {
            let (reply, answer) = oneshot::channel();
            assert!(tx.send((number, reply)).await.is_ok());
            assert_eq!(answer.await, Ok(number));
        }
    });
}

fn stakker_ask(n: u64) {
    stakker::ask(1, 1, n);
}

fn tokio_spawn(n: u64) {
    in_tokio(async move {
        for number in 0..n {
            assert_eq!(tokio::spawn(async move { number }).await.ok(), Some(number));
        }
    });
}

fn rayon_scope(n: u64) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.expect("the pool starts");
    let sum = AtomicU64::new(0);
    pool.scope(|scope| {
        for _ in 0..n {
            scope.spawn(|_| {
                sum.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(sum.into_inner(), n);
}
