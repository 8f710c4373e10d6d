//! A program to look at with the inspector: a pool under load, isolates that wait for each other, one
//! in a turn that does not end, and many with nothing to do.
//!
//! `cargo run --release -p insula --features inspect --example inspected`
//!
//! The first line of its output is the address for a browser and for `insula top`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::convert::Infallible;
use std::error::Error;
use std::future;
use std::thread;
use std::time::Duration;

use insula::inspect::Inspector;
use insula::pool::{BuildError, Shutdown};
use insula::{
    Context, Isolate, ReceivePort, ReplyTo, SendPort, Timer, WorkerPool, checkpoint, contract,
    sleep, spawn_local,
};

const HELP: &str = "\
A program to look at with the inspector.

Usage: inspected [OPTIONS]

Options:
  --busy N      isolates that do something each second; by default none
  --seconds N   end after so many seconds; by default never
  -h, --help    print this text
";

/// Isolates that only wait.
const IDLE: usize = 300;

/// Tasks that call the pool. With more of them than workers, calls wait in the queue.
const CUSTOMERS: usize = 6;

/// A page that would take this name for markup would run a script.
const HOSTILE_NAME: &str = "<img src=x onerror=alert(1)>\nand a second line";

type Failure = Box<dyn Error + Send + Sync>;

#[contract]
trait Mill {
    /// Grinds some grains, which takes some milliseconds of computing.
    async fn grind(&self, cx: &Context, grains: u64) -> Result<u64, Infallible>;

    /// Polishes a grain, which takes long.
    async fn polish(&self, cx: &Context) -> Result<(), Infallible>;
}

struct Millstone;

impl Mill for Millstone {
    async fn grind(&self, _cx: &Context, grains: u64) -> Result<u64, Infallible> {
        Ok((0..grains).fold(1, |flour: u64, grain| flour.rotate_left(7) ^ grain))
    }

    async fn polish(&self, _cx: &Context) -> Result<(), Infallible> {
        sleep(Duration::from_millis(250)).await;
        Ok(())
    }
}

#[insula::main]
async fn main() -> Result<(), Failure> {
    let Some(options) = Options::read(std::env::args().skip(1))? else {
        print!("{HELP}");
        return Ok(());
    };
    let inspector = Inspector::builder()
        .name("mill")
        // Without this, clients can only look.
        .allow_control()
        .start()?;
    println!("{}", inspector.address());
    let pool = start_pool().await?;
    send_customers(&pool);
    // An isolate ends when nothing can reach it, so the ports are kept.
    let _idle: Vec<_> = (0..IDLE).map(|n| wait(format!("shelf-{n:03}"))).collect();
    let _hostile = wait(HOSTILE_NAME.to_owned());
    let _cycle = wait_for_each_other()?;
    Isolate::builder().name("slow-disk").spawn(read_slowly, ());
    tick("clock", Duration::from_millis(100));
    for n in 0..options.busy {
        // Not all at the same moment.
        tick(
            &format!("busy-{n:05}"),
            Duration::from_micros(1_000_000 + n),
        );
    }
    match options.seconds {
        Some(seconds) => sleep(Duration::from_secs(seconds)).await,
        None => future::pending().await,
    }
    pool.shut_down(Shutdown::graceful(Duration::from_secs(1)))
        .await;
    Ok(())
}

async fn start_pool() -> Result<WorkerPool<MillRequest>, BuildError> {
    WorkerPool::builder()
        .name("millstones")
        .workers(4)
        .service::<MillResponder<_>>(|_cx| async { Ok(Millstone) })
        .build()
        .await
}

/// Starts an isolate whose tasks call the pool, again and again.
fn send_customers(pool: &WorkerPool<MillRequest>) {
    let callers: Vec<MillCaller> = (0..CUSTOMERS).map(|_| pool.caller()).collect();
    let call = |callers: Vec<MillCaller>| {
        for caller in callers {
            spawn_local(async move { while visit(&caller).await {} });
        }
    };
    Isolate::builder().name("customers").spawn(call, callers);
}

/// Returns whether the pool still takes calls. A single one may be lost with its worker.
async fn visit(mill: &MillCaller) -> bool {
    let is_ground = mill.grind(5_000_000).await.is_ok();
    let is_polished = mill.polish().await.is_ok();
    is_ground || is_polished
}

/// Starts an isolate that waits for messages.
fn wait(name: String) -> SendPort<()> {
    let listen = |port: ReceivePort<()>| {
        port.listen(|()| {});
    };
    Isolate::builder().name(name).spawn_with_port(listen)
}

/// Starts an isolate with a timer.
fn tick(name: &str, period: Duration) {
    let start = move |()| {
        Timer::periodic(period, |_, _| {});
    };
    Isolate::builder().name(name).spawn(start, ());
}

/// Is in one turn for ever, as a function of a library would be that reads without an end. A kill
/// has effect at the checkpoint.
fn read_slowly((): ()) {
    loop {
        thread::sleep(Duration::from_millis(20));
        checkpoint();
    }
}

/// A message to an isolate that answers only once another one has answered it.
enum Message {
    Meet(SendPort<Message>),
    Question(ReplyTo<()>),
}

/// Starts two isolates of which each awaits an answer of the other one, so that none ever comes.
fn wait_for_each_other() -> Result<[SendPort<Message>; 2], Failure> {
    let start = |name: &str| Isolate::builder().name(name).spawn_with_port(answer_later);
    let (chicken, egg) = (start("chicken"), start("egg"));
    chicken.send(Message::Meet(egg.clone()))?;
    egg.send(Message::Meet(chicken.clone()))?;
    Ok([chicken, egg])
}

async fn answer_later(mut port: ReceivePort<Message>) {
    let mut questions = Vec::new();
    while let Some(message) = port.recv().await {
        match message {
            // The question that would be answered is behind this one in the queue.
            Message::Meet(other) => drop(other.ask(Message::Question).await),
            Message::Question(reply) => questions.push(reply),
        }
    }
}

#[derive(Default)]
struct Options {
    busy: u64,
    seconds: Option<u64>,
}

impl Options {
    /// Returns `None` if only the help is wanted.
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, Failure> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u64, Failure> {
                let value = arguments
                    .next()
                    .ok_or(format!("{argument} needs a number"))?;
                Ok(value.parse()?)
            };
            match argument.as_str() {
                "--busy" => options.busy = number()?,
                "--seconds" => options.seconds = Some(number()?),
                "-h" | "--help" => return Ok(None),
                other => return Err(format!("unknown argument {other}; see --help").into()),
            }
        }
        Ok(Some(options))
    }
}
