//! A contract whose handlers block, exit, panic and hold values that panic.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_core::Stream;
use futures_util::future::{Either, select};
use futures_util::stream;
use insula_core::{Isolate, block_on, sleep, spawn_local};
use insula_pool::{PoolBuilder, PoolPhase, WorkerPool};
use insula_rpc::{Context, Inbound, Payload, contract};

use crate::service::Desk;

#[contract(crate = insula_rpc)]
pub(super) trait Trial {
    async fn echo(&self, cx: &Context, number: u64) -> Result<u64, Oops>;
    /// Notes the number.
    async fn log(&self, cx: &Context, number: u64) -> Result<(), Oops>;
    /// Gives the worker's index and incarnation.
    async fn who(&self, cx: &Context) -> Result<(usize, u32), Oops>;
    /// Waits at a gate.
    async fn wait_for(&self, cx: &Context, gate: u64) -> Result<u64, Oops>;
    /// Blocks its thread until a gate is open.
    async fn block(&self, cx: &Context, gate: u64) -> Result<(), Oops>;
    /// Leaves a task behind that blocks its thread until a gate is open.
    async fn block_later(&self, cx: &Context, gate: u64) -> Result<(), Oops>;
    /// Blocks for the answer to a call of its own pool.
    async fn nested(&self, cx: &Context, number: u64) -> Result<u64, Oops>;
    /// Panics.
    async fn boom(&self, cx: &Context) -> Result<(), Oops>;
    /// Ends its isolate.
    async fn exit(&self, cx: &Context) -> Result<(), Oops>;
    /// The same, once a gate is open.
    async fn exit_after(&self, cx: &Context, gate: u64) -> Result<(), Oops>;
    /// Sleeps, and notes what has cancelled it then.
    async fn doze(&self, cx: &Context, time: Duration) -> Result<(), Oops>;
    /// Counts up to a number.
    async fn count(
        &self,
        cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops>;
    /// Counts up to a number, and waits at a gate before its end.
    async fn halting(
        &self,
        cx: &Context,
        up_to: u64,
        gate: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops>;
    /// Counts up to a number, and ends its isolate then.
    async fn exiting(
        &self,
        cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops>;
    /// Gives one item, and then what a task has made that is part of the call.
    async fn spawning(&self, cx: &Context) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops>;
    /// Gives one item, and then blocks its thread until a gate is open.
    async fn stuck(
        &self,
        cx: &Context,
        gate: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops>;
    /// Blocks its thread while its caller sends.
    async fn ignore(&self, cx: &Context, gate: u64, items: Inbound<u64>) -> Result<(), Oops>;
    /// Weighs what it is sent.
    async fn weigh(&self, cx: &Context, items: Inbound<Thorn>) -> Result<(), Oops>;
    /// Keeps a thorn until its end.
    async fn take(&self, cx: &Context, thorn: Thorn) -> Result<(), Oops>;
    /// Gives a thorn, once a gate is open.
    async fn make(&self, cx: &Context, gate: u64, thorn: Thorn) -> Result<Thorn, Oops>;
    /// Fails with a thorn, once a gate is open.
    async fn fail(&self, cx: &Context, gate: u64, thorn: Thorn) -> Result<(), Oops>;
    /// Gives thorns.
    async fn thorns(
        &self,
        cx: &Context,
        thorns: Vec<Thorn>,
    ) -> Result<impl Stream<Item = Result<Thorn, Oops>>, Oops>;
    /// Gives nothing, and keeps a thorn while it does.
    async fn hold(
        &self,
        cx: &Context,
        thorn: Thorn,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops>;
}

/// The error of all methods, which may have a thorn.
#[derive(Debug, Default)]
pub(super) struct Oops {
    _thorn: Option<Thorn>,
}

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("oops")
    }
}

impl std::error::Error for Oops {}

/// A value that panics when it is dropped or measured.
#[derive(Debug)]
pub(super) struct Thorn {
    sting: Sting,
    weight: u64,
    _witness: Option<Arc<()>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Sting {
    None,
    OnDrop,
    OnSize,
    /// When it is measured after a handler had it.
    OnSizeLater,
}

impl Thorn {
    fn new(sting: Sting, weight: u64, witness: Option<Arc<()>>) -> Self {
        Self {
            sting,
            weight,
            _witness: witness,
        }
    }

    pub(super) fn on_drop() -> Self {
        Self::new(Sting::OnDrop, 0, None)
    }

    pub(super) fn on_size() -> Self {
        Self::new(Sting::OnSizeLater, 0, None)
    }

    /// A harmless one.
    pub(super) fn weighing(weight: u64) -> Self {
        Self::new(Sting::None, weight, None)
    }

    /// A harmless one, whose drop shows.
    pub(super) fn witnessed(witness: &Arc<()>) -> Self {
        Self::new(Sting::None, 0, Some(Arc::clone(witness)))
    }

    /// A handler has it.
    fn ripe(mut self) -> Self {
        if self.sting == Sting::OnSizeLater {
            self.sting = Sting::OnSize;
        }
        self
    }

    /// It can be dropped now.
    pub(super) fn defuse(&mut self) {
        self.sting = Sting::None;
    }
}

impl Payload for Thorn {
    fn size_hint(&self) -> u64 {
        assert!(self.sting != Sting::OnSize, "a thorn was measured");
        self.weight
    }
}

impl Drop for Thorn {
    fn drop(&mut self) {
        if self.sting == Sting::OnDrop && !std::thread::panicking() {
            panic!("a thorn was dropped");
        }
    }
}

/// The state of a worker.
#[derive(Debug, Default)]
pub(super) struct Service {
    desk: Desk,
    own: Arc<OnceLock<TrialCaller>>,
    /// Dropped with the state.
    _thorn: Option<Thorn>,
}

impl Service {
    fn block_until(desk: &Desk, gate: u64) {
        desk.note(format!("blocking {gate}"));
        insula_core::blocking(|| {
            while !desk.is_open(gate) {
                std::thread::yield_now();
            }
        });
    }
}

impl Trial for Service {
    async fn echo(&self, _cx: &Context, number: u64) -> Result<u64, Oops> {
        Ok(number)
    }

    async fn log(&self, _cx: &Context, number: u64) -> Result<(), Oops> {
        self.desk.note(number.to_string());
        Ok(())
    }

    async fn who(&self, cx: &Context) -> Result<(usize, u32), Oops> {
        Ok((cx.worker().index(), cx.incarnation()))
    }

    async fn wait_for(&self, _cx: &Context, gate: u64) -> Result<u64, Oops> {
        self.desk.note(format!("at {gate}"));
        self.desk.opened(gate).await;
        Ok(gate)
    }

    async fn block(&self, _cx: &Context, gate: u64) -> Result<(), Oops> {
        Self::block_until(&self.desk, gate);
        Ok(())
    }

    async fn block_later(&self, _cx: &Context, gate: u64) -> Result<(), Oops> {
        let desk = self.desk.clone();
        spawn_local(async move { Self::block_until(&desk, gate) });
        Ok(())
    }

    async fn nested(&self, _cx: &Context, number: u64) -> Result<u64, Oops> {
        self.desk.note("nested");
        let own = self.own.get().expect("set before the first call");
        own.echo(number).blocking().map_err(|_| Oops::default())
    }

    async fn boom(&self, cx: &Context) -> Result<(), Oops> {
        panic!("worker {} trips", cx.worker());
    }

    async fn exit(&self, _cx: &Context) -> Result<(), Oops> {
        Isolate::exit_silently();
    }

    async fn exit_after(&self, _cx: &Context, gate: u64) -> Result<(), Oops> {
        self.desk.note(format!("at {gate}"));
        self.desk.opened(gate).await;
        Isolate::exit_silently();
    }

    async fn doze(&self, cx: &Context, time: Duration) -> Result<(), Oops> {
        sleep(time).await;
        self.desk.note(format!("{:?}", cx.cancelled_by()));
        Ok(())
    }

    async fn count(
        &self,
        _cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops> {
        Ok(stream::iter((0..up_to).map(Ok)))
    }

    async fn halting(
        &self,
        _cx: &Context,
        up_to: u64,
        gate: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops> {
        Ok(stream::unfold(0, move |number| async move {
            if number == up_to {
                self.desk.note(format!("at {gate}"));
                self.desk.opened(gate).await;
                return None;
            }
            Some((Ok(number), number + 1))
        }))
    }

    async fn exiting(
        &self,
        _cx: &Context,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops> {
        Ok(stream::unfold(0, move |number| async move {
            if number == up_to {
                Isolate::exit_silently();
            }
            Some((Ok(number), number + 1))
        }))
    }

    async fn spawning(&self, cx: &Context) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops> {
        Ok(stream::unfold(0, move |number| async move {
            if number == 1 {
                let desk = self.desk.clone();
                cx.spawn(async move { desk.note("spawned") });
                self.desk.noted("spawned").await;
            }
            (number < 2).then(|| (Ok(number), number + 1))
        }))
    }

    async fn stuck(
        &self,
        _cx: &Context,
        gate: u64,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops> {
        Ok(stream::unfold(0, move |number| async move {
            if number > 0 {
                Self::block_until(&self.desk, gate);
            }
            Some((Ok(number), number + 1))
        }))
    }

    async fn ignore(&self, _cx: &Context, gate: u64, items: Inbound<u64>) -> Result<(), Oops> {
        Self::block_until(&self.desk, gate);
        drop(items);
        Ok(())
    }

    async fn weigh(&self, _cx: &Context, mut items: Inbound<Thorn>) -> Result<(), Oops> {
        while let Some(item) = items.next().await {
            drop(item);
        }
        Ok(())
    }

    async fn take(&self, _cx: &Context, thorn: Thorn) -> Result<(), Oops> {
        drop(thorn);
        Ok(())
    }

    async fn make(&self, _cx: &Context, gate: u64, thorn: Thorn) -> Result<Thorn, Oops> {
        self.desk.note(format!("at {gate}"));
        self.desk.opened(gate).await;
        self.desk.note("made");
        Ok(thorn.ripe())
    }

    async fn fail(&self, _cx: &Context, gate: u64, thorn: Thorn) -> Result<(), Oops> {
        self.desk.note(format!("at {gate}"));
        self.desk.opened(gate).await;
        self.desk.note("made");
        Err(Oops {
            _thorn: Some(thorn),
        })
    }

    async fn thorns(
        &self,
        _cx: &Context,
        thorns: Vec<Thorn>,
    ) -> Result<impl Stream<Item = Result<Thorn, Oops>>, Oops> {
        Ok(stream::iter(thorns.into_iter().map(Thorn::ripe).map(Ok)))
    }

    async fn hold(
        &self,
        _cx: &Context,
        thorn: Thorn,
    ) -> Result<impl Stream<Item = Result<u64, Oops>>, Oops> {
        Ok(stream::once(async move {
            std::future::pending::<()>().await;
            drop(thorn);
            Ok(0)
        }))
    }
}

pub(super) type Pool = WorkerPool<TrialRequest>;

/// A pool whose workers share a desk.
pub(super) fn trial(
    desk: &Desk,
    workers: usize,
    at_once: usize,
) -> PoolBuilder<TrialResponder<Service>> {
    trial_of(workers, at_once, desk, Arc::default(), false)
}

/// The same, whose workers call their own pool, through `own`.
pub(super) fn trial_of(
    workers: usize,
    at_once: usize,
    desk: &Desk,
    own: Arc<OnceLock<TrialCaller>>,
    has_thorn: bool,
) -> PoolBuilder<TrialResponder<Service>> {
    let desk = desk.clone();
    let builder = WorkerPool::builder()
        .name("trial")
        .workers(workers)
        .concurrency_per_worker(at_once);
    builder.service::<TrialResponder<_>>(move |_cx| {
        let service = Service {
            desk: desk.clone(),
            own: Arc::clone(&own),
            _thorn: has_thorn.then(Thorn::on_drop),
        };
        async { Ok(service) }
    })
}

/// Fails if `future` takes so long that it hangs.
pub(super) fn soon<F: Future>(future: F) -> F::Output {
    block_on(async {
        let hangs = Box::pin(sleep(Duration::from_secs(60)));
        match select(Box::pin(future), hangs).await {
            Either::Left((output, _)) => output,
            Either::Right(_) => panic!("it hangs"),
        }
    })
}

/// No worker was lost, and every one of them answers.
pub(super) async fn assert_serves(pool: &Pool) {
    let caller: TrialCaller = pool.caller();
    for number in 0..20 {
        assert_eq!(caller.echo(number).await.ok(), Some(number));
    }
    assert_eq!(pool.status().phase, PoolPhase::Serving);
}
