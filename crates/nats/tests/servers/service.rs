//! The service of the nodes.

use std::io::{BufRead, BufReader, Write};
use std::process::{self, Child, Command, Stdio};
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use insula_core::{Runtime, sleep};
use insula_link::Remote;
use insula_nats::{Nats, Node};
use insula_pool::{PoolBuilder, Restart, WorkerPool};
use insula_rpc::{Context, Inbound, contract};
use serde::{Deserialize, Serialize};

/// What a handler does before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    Nothing,
    Fail,
    Panic,
    /// Waits until it is cancelled.
    Wait,
    /// Sleeps for so many milliseconds.
    Sleep(u32),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Oops(pub(crate) String);

#[contract(wire, crate = insula_rpc)]
pub(crate) trait Work {
    /// Returns the number of the process.
    async fn process(&self, cx: &Context, act: Act) -> Result<u32, Oops>;
    /// Returns the bytes in the opposite order.
    async fn reverse(
        &self,
        cx: &Context,
        bytes: serde_bytes::ByteBuf,
    ) -> Result<serde_bytes::ByteBuf, Oops>;
    /// Counts, and acts at a number.
    async fn count(
        &self,
        cx: &Context,
        to: u32,
        act_at: u32,
        act: Act,
    ) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops>;
    /// Returns the sum.
    async fn sum(&self, cx: &Context, numbers: Inbound<u32>) -> Result<u64, Oops>;
}

pub(crate) struct Service;

async fn act(cx: &Context, act: Act) -> Result<(), Oops> {
    match act {
        Act::Nothing => {}
        Act::Fail => return Err(Oops("as it was told".to_owned())),
        Act::Panic => panic!("as it was told"),
        Act::Wait => {
            cx.token().cancelled().await;
        }
        Act::Sleep(time_ms) => sleep(Duration::from_millis(time_ms.into())).await,
    }
    Ok(())
}

impl Work for Service {
    async fn process(&self, cx: &Context, what: Act) -> Result<u32, Oops> {
        act(cx, what).await?;
        Ok(process::id())
    }

    async fn reverse(
        &self,
        _cx: &Context,
        mut bytes: serde_bytes::ByteBuf,
    ) -> Result<serde_bytes::ByteBuf, Oops> {
        bytes.reverse();
        Ok(bytes)
    }

    async fn count(
        &self,
        cx: &Context,
        to: u32,
        act_at: u32,
        what: Act,
    ) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops> {
        Ok(stream::iter(0..to).then(move |number| async move {
            if number == act_at {
                act(cx, what).await?;
            }
            Ok(number)
        }))
    }

    async fn sum(&self, _cx: &Context, mut numbers: Inbound<u32>) -> Result<u64, Oops> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += u64::from(number.map_err(|aborted| Oops(aborted.to_string()))?);
        }
        Ok(sum)
    }
}

/// Starts a node in this process.
pub(crate) async fn node(nats: &Nats, workers: usize) -> Node {
    let node = nats
        .node()
        .workers(workers)
        .serve::<WorkResponder<_>>(|_cx| async { Ok(Service) });
    node.start().await.unwrap()
}

/// A pool of so many workers of nodes.
pub(crate) fn pool(nats: &Nats, workers: usize) -> PoolBuilder<Remote<WorkRequest>> {
    let (first, longest) = (Duration::from_millis(5), Duration::from_millis(100));
    WorkerPool::builder()
        .workers(workers)
        .restart(Restart::at_most(1_000, Duration::MAX).delay(first, longest))
        .kind(nats.clone())
}

/// Runs a test on a runtime of its own, which ends with it.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = Runtime::builder().threads(2).build();
    runtime.block_on(async { test().await });
    runtime.shut_down();
}

pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The variables that make this program a node.
const URL: &str = "NODE_URL";
const WORKERS: &str = "NODE_WORKERS";

/// Serves until the standard input is closed, and then stops.
pub(crate) fn be_a_node_if_asked() {
    let (Ok(url), Ok(workers)) = (std::env::var(URL), std::env::var(WORKERS)) else {
        return;
    };
    insula_core::block_on(async {
        let node = node(&Nats::connect(&url), workers.parse().unwrap()).await;
        say_so_and_wait();
        node.stop(LONG).await;
    });
    process::exit(0);
}

/// Says that this process serves, and waits until the standard input is closed.
pub(crate) fn say_so_and_wait() {
    let mut out = std::io::stdout().lock();
    writeln!(out, "serves").unwrap();
    out.flush().unwrap();
    let _ = std::io::stdin().lines().next();
}

/// A node in a process of its own, which ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(url: &str, workers: usize) -> Self {
        Self::with(&[(URL, url), (WORKERS, &workers.to_string())])
    }

    /// Starts this program with these variables, which says so once it serves.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "serves\n");
        Self(child)
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let mut command = Command::new("kill");
        let status = command
            .args(["-s", name, &self.0.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "it never is");
        sleep(Duration::from_millis(5)).await;
    }
}
