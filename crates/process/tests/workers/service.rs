//! The service of the workers.

use std::os::fd::OwnedFd;
use std::process;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use insula_core::{Isolate, Runtime, sleep};
use insula_memory::{Segment, SegmentPool};
use insula_pool::{PoolBuilder, Restart, WorkerPool};
use insula_process::{Process, Worker};
use insula_rpc::{Context, Inbound, contract};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use serde::{Deserialize, Serialize};

/// What a handler does before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    Nothing,
    Fail,
    Panic,
    Abort,
    /// Ends its isolate.
    Exit,
    /// Waits until it is cancelled.
    Wait,
    /// Computes without a look at anything.
    Hang,
    /// Takes so many MiB of memory.
    Allocate(u32),
    /// Computes for ever.
    Compute,
    /// Tells which of these the system refuses: a socket of the network, one of the machine, another
    /// program, a file, a look into a process.
    Try,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Oops(pub(crate) String);

#[contract(wire, crate = insula_rpc)]
pub(crate) trait Work {
    /// Returns the number of the process.
    async fn process(&self, cx: &Context, act: Act) -> Result<u32, Oops>;
    /// Returns the bytes in the opposite order.
    async fn reverse(&self, cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Oops>;
    /// Counts, and acts at a number.
    async fn count(
        &self,
        cx: &Context,
        to: u32,
        act_at: u32,
        act: Act,
    ) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops>;
    /// Returns the bytes with one added to each, in memory of their own.
    async fn brighten(&self, cx: &Context, pictures: Vec<Segment>) -> Result<Vec<Segment>, Oops>;
    /// Draws so many pictures of a size.
    async fn draw(
        &self,
        cx: &Context,
        count: u32,
        size: u32,
    ) -> Result<impl Stream<Item = Result<Segment, Oops>>, Oops>;
    /// Returns the sum of the first bytes.
    async fn look_at(&self, cx: &Context, pictures: Inbound<Segment>) -> Result<u64, Oops>;
    /// Returns the sum.
    async fn sum(&self, cx: &Context, numbers: Inbound<u32>) -> Result<u64, Oops>;
}

pub(crate) struct Service;

async fn act(cx: &Context, act: Act) -> Result<(), Oops> {
    match act {
        Act::Nothing => {}
        Act::Fail => return Err(Oops("as it was told".to_owned())),
        Act::Panic => panic!("as it was told"),
        Act::Abort => process::abort(),
        Act::Exit => Isolate::exit_silently(),
        Act::Wait => {
            cx.token().cancelled().await;
        }
        Act::Allocate(mib) => {
            let bytes = vec![1_u8; (mib as usize) << 20];
            std::hint::black_box(bytes);
        }
        Act::Try => return Err(Oops(refused())),
        Act::Compute => loop {
            std::hint::spin_loop();
        },
        Act::Hang => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
    }
    Ok(())
}

/// The names of what is refused.
fn refused() -> String {
    let is_refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    let tries = [
        ("network", std::net::UdpSocket::bind("127.0.0.1:0").err()),
        ("machine", std::os::unix::net::UnixDatagram::unbound().err()),
        ("program", process::Command::new("true").status().err()),
        ("file", std::fs::File::open("/proc/self/stat").err()),
        ("process", looked_into().err()),
    ];
    let refused = tries
        .iter()
        .filter(|(_, error)| error.as_ref().is_some_and(is_refused));
    let names: Vec<_> = refused.map(|(name, _)| *name).collect();
    names.join(" ")
}

/// Takes a descriptor of a process that may be looked into: this one.
fn looked_into() -> std::io::Result<OwnedFd> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(&this, 2, PidfdGetfdFlags::empty())?)
}

impl Work for Service {
    async fn process(&self, cx: &Context, what: Act) -> Result<u32, Oops> {
        act(cx, what).await?;
        Ok(process::id())
    }

    async fn reverse(&self, _cx: &Context, mut bytes: Vec<u8>) -> Result<Vec<u8>, Oops> {
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

    async fn brighten(&self, _cx: &Context, pictures: Vec<Segment>) -> Result<Vec<Segment>, Oops> {
        let brighter = |picture: &Segment| segment(picture.len(), picture[0] + 1);
        Ok(pictures.iter().map(brighter).collect())
    }

    async fn draw(
        &self,
        _cx: &Context,
        count: u32,
        size: u32,
    ) -> Result<impl Stream<Item = Result<Segment, Oops>>, Oops> {
        let draw = move |number| Ok(segment(size as usize, number as u8));
        Ok(stream::iter((0..count).map(draw)))
    }

    async fn look_at(&self, _cx: &Context, mut pictures: Inbound<Segment>) -> Result<u64, Oops> {
        let mut sum = 0;
        while let Some(picture) = pictures.next().await {
            sum += u64::from(picture.map_err(|aborted| Oops(aborted.to_string()))?[0]);
        }
        Ok(sum)
    }

    async fn sum(&self, _cx: &Context, mut numbers: Inbound<u32>) -> Result<u64, Oops> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += u64::from(number.map_err(|aborted| Oops(aborted.to_string()))?);
        }
        Ok(sum)
    }
}

use futures_util::StreamExt as _;

/// Memory of its own from 64 KiB on, all bytes of which are the same.
pub(crate) fn segment(len: usize, byte: u8) -> Segment {
    let mut segment = SegmentPool::new(1 << 16).allocate(len).unwrap();
    segment.fill(byte);
    segment.freeze().unwrap()
}

/// The variable that decides how a service starts.
pub(crate) const START: &str = "WORKER_START";

pub(crate) fn register(worker: &mut Worker) {
    worker.serve::<WorkResponder<_>>(|_cx| async {
        match std::env::var(START).as_deref() {
            Ok("fails") => Err("there is no tea")?,
            Ok("panics") => panic!("there is no coffee"),
            Ok("exits") => process::exit(3),
            Ok("sleeps") => sleep(Duration::from_secs(60)).await,
            _ => {}
        }
        Ok(Service)
    });
}

/// A pool of so many processes.
pub(crate) fn pool(workers: usize) -> PoolBuilder<insula_link::Remote<WorkRequest>> {
    pool_of(workers, Process::current_exe())
}

pub(crate) fn pool_of(
    workers: usize,
    process: Process,
) -> PoolBuilder<insula_link::Remote<WorkRequest>> {
    let soon = Duration::from_millis(1);
    WorkerPool::builder()
        .workers(workers)
        .restart(Restart::at_most(1_000, Duration::MAX).delay(soon, soon))
        .kind(process)
}

/// Runs a test on a runtime of its own, which ends with it.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = Runtime::builder().threads(2).build();
    runtime.block_on(async { test().await });
    runtime.shut_down();
}

pub(crate) const LONG: Duration = Duration::from_secs(30);
