//! Does one thing n times on a runtime of one thread, so that its instructions can be counted:
//! those for many minus those for few, divided by the difference.
//!
//! `instructions` lists the cases, `instructions CASE N` runs one.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it lists its cases, and says what it does not know"
)]

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;

use insula_core::{Isolate, ReceivePort, ReplyTo, Runtime};
use insula_pool::{
    Balance, Health, Measure, Monitor, Overflow, Queue, Rate, Recycle, WorkerEvent, WorkerPool,
};
use insula_rpc::{Context, Priority, Respond as _, contract, map, serve};

#[contract(crate = insula_rpc)]
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

type Case = fn(&Runtime, u64);

const CASES: &[(&str, Case)] = &[
    ("ask", ask),
    ("call", call),
    ("pool", pool),
    ("pool-options", pool_options),
    ("item", item),
    ("map", map_call),
    ("map-pool", map_pool),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, n] = &arguments[..] else {
        for (name, _) in CASES {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|(it, _)| it == name);
    let (Some((_, case)), Ok(n)) = (case, n.parse()) else {
        eprintln!("instructions: no case '{name}', or '{n}' is no number");
        return ExitCode::FAILURE;
    };
    let runtime = Runtime::builder().threads(1).build();
    case(&runtime, n);
    ExitCode::SUCCESS
}

fn ask(runtime: &Runtime, n: u64) {
    let port = Isolate::builder().runtime(runtime).spawn_with_port(
        |port: ReceivePort<(u64, ReplyTo<u64>)>| {
            port.listen(|(number, reply)| reply.send(number));
        },
    );
    let asker = async move || {
        for number in 0..n {
            assert_eq!(port.ask(|reply| (number, reply)).await, Ok(number));
        }
    };
    run(runtime, asker);
}

fn served(runtime: &Runtime) -> EchoCaller {
    let port = Isolate::builder()
        .runtime(runtime)
        .spawn_with_port(|port| serve(port, EchoResponder::new(Service)));
    EchoCaller::over(port)
}

fn call(runtime: &Runtime, n: u64) {
    let caller = served(runtime);
    run(runtime, async move || {
        for number in 0..n {
            assert_eq!(caller.echo(number).await.ok(), Some(number));
        }
    });
}

/// A pool of one worker, and what is done with its caller.
fn in_pool<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    with: impl FnOnce(EchoCaller) -> F + Send + 'static,
) {
    run(runtime, async move || {
        let pool = WorkerPool::builder()
            .workers(1)
            .service::<EchoResponder<_>>(|_cx| async { Ok(Service) })
            .build()
            .await
            .expect("the worker starts");
        with(pool.caller()).await;
    });
}

fn pool(runtime: &Runtime, n: u64) {
    in_pool(runtime, async move |caller| {
        for number in 0..n {
            assert_eq!(caller.echo(number).await.ok(), Some(number));
        }
    });
}

/// A pool with every option that concerns single calls.
fn pool_options(runtime: &Runtime, n: u64) {
    let second = Duration::from_secs(1);
    let queue = Queue::bounded(1024)
        .bytes(1 << 30)
        .rate(Rate::per_second(u32::MAX))
        .codel(second / 20, second)
        .reject_hopeless()
        .overflow(Overflow::DropOldest);
    run(runtime, async move || {
        let pool = WorkerPool::builder()
            .workers(1..=2)
            .queue(queue)
            .balance(Balance::Adaptive)
            // Not the time on the CPU: valgrind hides the page from which its clock is read.
            .monitor(Monitor::memory())
            .measure(Measure::All)
            .recycle(Recycle::after_calls(u64::MAX).or_after_errors(u64::MAX))
            .health(Health::stuck_after(60 * second))
            .quarantine_after(2)
            .on_discard(|_call| {})
            .observe(|_event: &WorkerEvent| {})
            .service::<EchoResponder<_>>(|_cx| async { Ok(Service) })
            .build()
            .await
            .expect("the worker starts");
        let caller: EchoCaller = pool.caller();
        for number in 0..n {
            let call = caller.echo(number).priority(Priority::High);
            assert_eq!(call.await.ok(), Some(number));
        }
    });
}

fn item(runtime: &Runtime, n: u64) {
    let caller = served(runtime);
    run(runtime, async move || {
        let mut items = caller.count(n).await.expect("the stream opens");
        for number in 0..n {
            assert_eq!(items.next().await.and_then(Result::ok), Some(number));
        }
    });
}

async fn map_all(caller: EchoCaller, n: u64) {
    let mut answers = map(0..n, |number| caller.echo(number)).concurrency(64);
    for number in 0..n {
        assert_eq!(answers.next().await.and_then(Result::ok), Some(number));
    }
}

fn map_call(runtime: &Runtime, n: u64) {
    let caller = served(runtime);
    run(runtime, async move || map_all(caller, n).await);
}

fn map_pool(runtime: &Runtime, n: u64) {
    in_pool(runtime, async move |caller| map_all(caller, n).await);
}

/// Runs a future in an isolate, to its end.
fn run<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    make: impl FnOnce() -> F + Send + 'static,
) {
    let _entered = runtime.enter();
    assert_eq!(Isolate::run_async(make).wait(), Ok(()));
}
