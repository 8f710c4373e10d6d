//! Risk: a task of a call outlives it, holds its answer up for ever, or its panic is lost.

use std::convert::Infallible;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use insula_core::{Isolate, block_on, yield_now};
use insula_rpc::{CallError, Context, Receipt, Respond as _, contract, serve};

use crate::desk::poll;
use crate::probe::{Recorder, Spike, Tripwire};

#[contract(crate = insula_rpc)]
trait Parts {
    /// Spawns so many tasks, each of which spawns one more, and answers at once.
    async fn split(&self, cx: &Context, tasks: u32) -> Result<(), Infallible>;
    /// Spawns a task that panics.
    async fn trip(&self, cx: &Context) -> Result<(), Infallible>;
    /// Spawns a task that never ends.
    async fn hang(&self, cx: &Context) -> Result<(), Infallible>;
    /// Spawns three tasks that never end, and whose drops panic; then ends so.
    async fn spikes(&self, cx: &Context, end: Spiked) -> Result<(), Infallible>;
    /// Gives a stream which spawns two tasks that never end, and whose drops panic.
    async fn spiky_items(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible>;
}

#[derive(Debug, Clone, Copy)]
enum Spiked {
    Panics,
    Waits,
}

fn spike(recorder: Recorder) -> impl Future<Output = ()> {
    let spike = Spike(recorder);
    async move {
        let _held = spike;
        std::future::pending::<()>().await;
    }
}

struct Divider {
    recorder: Recorder,
}

async fn part(recorder: Recorder, line: &'static str) {
    yield_now().await;
    recorder.note(line);
}

impl Parts for Divider {
    async fn split(&self, cx: &Context, tasks: u32) -> Result<(), Infallible> {
        for _ in 0..tasks {
            cx.spawn(part(self.recorder.clone(), "task"));
        }
        self.recorder.note("handler");
        Ok(())
    }

    async fn trip(&self, cx: &Context) -> Result<(), Infallible> {
        cx.spawn(async { panic!("a task trips") });
        Ok(())
    }

    async fn hang(&self, cx: &Context) -> Result<(), Infallible> {
        let tripwire = Tripwire::new(&self.recorder, "task dropped");
        cx.spawn(async move {
            let _held = tripwire;
            std::future::pending::<()>().await;
        });
        Ok(())
    }

    async fn spikes(&self, cx: &Context, end: Spiked) -> Result<(), Infallible> {
        for _ in 0..3 {
            cx.spawn(spike(self.recorder.clone()));
        }
        match end {
            Spiked::Panics => panic!("the handler trips"),
            Spiked::Waits => {
                self.recorder.note("handler");
                Ok(())
            }
        }
    }

    async fn spiky_items(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible> {
        Ok(stream::iter(0..3).map(|number| {
            if number < 2 {
                cx.spawn(spike(self.recorder.clone()));
            }
            Ok(number)
        }))
    }
}

fn start() -> (PartsCaller, Recorder) {
    let recorder = Recorder::default();
    let service = recorder.clone();
    let port = Isolate::spawn_with_port(move |port| {
        let recorder = service.clone();
        serve(port, PartsResponder::new(Divider { recorder }))
    });
    (PartsCaller::over(port), recorder)
}

#[test]
fn the_answer_comes_after_all_tasks_have_ended() {
    let (caller, recorder) = start();
    block_on(async { caller.split(3).await.unwrap() });
    assert_eq!(recorder.take(), ["handler", "task", "task", "task"]);
}

#[test]
fn a_panic_of_a_task_fails_the_call_and_nothing_else() {
    let (caller, recorder) = start();
    let error = block_on(async { caller.trip().await.unwrap_err() });
    assert!(matches!(&error, CallError::Panicked { message, .. } if message == "a task trips"));
    block_on(async { caller.split(0).await.unwrap() });
    assert_eq!(recorder.take(), ["handler"]);
}

#[test]
fn a_task_is_dropped_when_its_call_is_given_up() {
    let (caller, recorder) = start();
    let error = block_on(async {
        let call = caller.hang().deadline(Duration::from_millis(5));
        call.await.unwrap_err()
    });
    assert!(matches!(error, CallError::Deadline { .. }));
    // The next call starts once the grace period of the first is over.
    block_on(async { caller.split(0).await.unwrap() });
    assert_eq!(recorder.take(), ["task dropped", "handler"]);
}

#[test]
fn a_call_that_is_dropped_takes_its_tasks_along() {
    let (caller, recorder) = start();
    let mut call = caller.hang();
    assert!(matches!(poll(&mut call), Poll::Pending));
    drop(call);
    block_on(async { caller.split(0).await.unwrap() });
    assert!(recorder.take().ends_with(&["handler".to_owned()]));
}

#[test]
fn every_task_is_dropped_though_the_drop_of_each_panics() {
    let (caller, recorder) = start();
    let error = block_on(async { caller.spikes(Spiked::Panics).await.unwrap_err() });
    assert!(matches!(&error, CallError::Panicked { .. }));
    assert_eq!(recorder.take(), ["spike"; 3]);
    let mut call = caller.spikes(Spiked::Waits).start();
    assert!(poll(&mut call).is_pending());
    while recorder.take().is_empty() {
        std::thread::yield_now();
    }
    let receipt = block_on(call.cancel_and_wait());
    assert!(
        matches!(receipt, Receipt::Ended(Err(CallError::Panicked { .. }))),
        "{receipt:?}"
    );
    assert_eq!(recorder.take(), ["spike"; 3]);
    block_on(async {
        let mut items = caller.spiky_items().await.unwrap();
        for number in 0..3 {
            assert_eq!(items.next().await.unwrap().unwrap(), number);
        }
        // They are dropped with the stream, whose items are all there.
        assert!(items.next().await.is_none());
        caller.split(0).await.unwrap();
    });
    assert_eq!(recorder.take(), ["spike", "spike", "handler"]);
}
