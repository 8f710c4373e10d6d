//! The contract that all tests use, a service with gates, and pools of it.

use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use insula_core::{Isolate, sleep};
use insula_pool::{PoolBuilder, WorkerPool};
use insula_rpc::{Context, contract};
use insula_sync::Mutex;

#[contract(crate = insula_rpc)]
pub(crate) trait Jobs {
    /// Gives the number back.
    async fn echo(&self, cx: &Context, number: u64) -> Result<u64, Oops>;
    /// Gives the worker's index and incarnation.
    async fn whoami(&self, cx: &Context) -> Result<(usize, u32), Oops>;
    /// Waits until the gate of this number is open.
    async fn wait_for(&self, cx: &Context, gate: u64) -> Result<u64, Oops>;
    /// Waits for its cancellation and ends by itself.
    async fn until_cancelled(&self, cx: &Context) -> Result<(), Oops>;
    /// Waits forever, whatever happens.
    async fn hang(&self, cx: &Context) -> Result<(), Oops>;
    /// Blocks its thread until the gate of this number is open.
    async fn compute(&self, cx: &Context, gate: u64) -> Result<(), Oops>;
    /// Panics.
    async fn panic(&self, cx: &Context) -> Result<(), Oops>;
    /// Panics once the gate of this number is open.
    async fn panic_at(&self, cx: &Context, gate: u64) -> Result<(), Oops>;
    /// Takes so many milliseconds.
    async fn doze(&self, cx: &Context, ms: u64) -> Result<(), Oops>;
    /// Notes the number.
    async fn note(&self, cx: &Context, number: u64) -> Result<(), Oops>;
    /// Ends the isolate of its worker.
    async fn leave(&self, cx: &Context) -> Result<(), Oops>;
    /// Fails.
    async fn fail(&self, cx: &Context) -> Result<(), Oops>;
    /// Moves bytes there and back.
    async fn mirror(&self, cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Oops>;
    /// Counts up to a number.
    async fn count(
        &self,
        cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oops;

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("oops")
    }
}

impl std::error::Error for Oops {}

/// The state that the tests and all workers of a pool share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    open: Vec<u64>,
    waiting: Vec<Waker>,
    notes: Vec<String>,
}

impl Desk {
    pub(crate) fn open(&self, gate: u64) {
        let mut inside = self.0.lock();
        inside.open.push(gate);
        let waiting = std::mem::take(&mut inside.waiting);
        drop(inside);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_open(&self, gate: u64) -> bool {
        self.0.lock().open.contains(&gate)
    }

    pub(crate) fn note(&self, line: impl Into<String>) {
        let mut inside = self.0.lock();
        inside.notes.push(line.into());
        let waiting = std::mem::take(&mut inside.waiting);
        drop(inside);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.0.lock().notes.clone()
    }

    /// Waits until a note was taken.
    pub(crate) async fn noted(&self, line: &str) {
        self.until(|inside| inside.notes.iter().any(|note| note == line))
            .await;
    }

    pub(crate) async fn opened(&self, gate: u64) {
        self.until(|inside| inside.open.contains(&gate)).await;
    }

    async fn until(&self, holds: impl Fn(&Inside) -> bool) {
        std::future::poll_fn(|cx| {
            let mut inside = self.0.lock();
            if holds(&inside) {
                return Poll::Ready(());
            }
            inside.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Jobs for Desk {
    async fn echo(&self, _cx: &Context, number: u64) -> Result<u64, Oops> {
        Ok(number)
    }

    async fn whoami(&self, cx: &Context) -> Result<(usize, u32), Oops> {
        Ok((cx.worker().index(), cx.incarnation()))
    }

    async fn wait_for(&self, _cx: &Context, gate: u64) -> Result<u64, Oops> {
        self.note(format!("at {gate}"));
        self.opened(gate).await;
        Ok(gate)
    }

    async fn until_cancelled(&self, cx: &Context) -> Result<(), Oops> {
        self.note("waiting");
        self.note(cx.cancelled().await.to_string());
        Err(Oops)
    }

    async fn hang(&self, _cx: &Context) -> Result<(), Oops> {
        self.note("hanging");
        std::future::pending().await
    }

    async fn compute(&self, _cx: &Context, gate: u64) -> Result<(), Oops> {
        self.note(format!("computing {gate}"));
        insula_core::blocking(|| {
            while !self.is_open(gate) {
                std::thread::yield_now();
            }
        });
        self.note(format!("computed {gate}"));
        Ok(())
    }

    async fn panic(&self, cx: &Context) -> Result<(), Oops> {
        panic!("worker {} trips", cx.worker());
    }

    async fn panic_at(&self, cx: &Context, gate: u64) -> Result<(), Oops> {
        self.note(format!("at {gate}"));
        self.opened(gate).await;
        panic!("worker {} trips", cx.worker());
    }

    async fn doze(&self, _cx: &Context, ms: u64) -> Result<(), Oops> {
        sleep(Duration::from_millis(ms)).await;
        Ok(())
    }

    async fn note(&self, _cx: &Context, number: u64) -> Result<(), Oops> {
        Self::note(self, format!("note {number}"));
        Ok(())
    }

    async fn leave(&self, _cx: &Context) -> Result<(), Oops> {
        Isolate::exit_silently()
    }

    async fn fail(&self, _cx: &Context) -> Result<(), Oops> {
        Err(Oops)
    }

    async fn mirror(&self, _cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Oops> {
        Ok(bytes)
    }

    async fn count(
        &self,
        _cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops> {
        Ok(stream::iter((0..up_to).map(Ok)))
    }
}

/// A pool of this many workers that share a desk.
pub(crate) fn pool(desk: &Desk, workers: usize) -> PoolBuilder<JobsResponder<Desk>> {
    let desk = desk.clone();
    WorkerPool::builder()
        .name("jobs")
        .workers(workers)
        .service::<JobsResponder<_>>(move |_cx| {
            let desk = desk.clone();
            async { Ok(desk) }
        })
}
