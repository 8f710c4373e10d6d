//! Risk: a task of a call outlives it, holds its answer up for ever, or its panic is lost.

use std::convert::Infallible;
use std::task::Poll;
use std::time::Duration;

use insula_core::{Isolate, block_on, yield_now};
use insula_rpc::{CallError, Context, Respond as _, contract, serve};

use crate::desk::poll;
use crate::probe::{Recorder, Tripwire};

#[contract(crate = insula_rpc)]
trait Parts {
    /// Spawns so many tasks, each of which spawns one more, and answers at once.
    async fn split(&self, cx: &Context, tasks: u32) -> Result<(), Infallible>;
    /// Spawns a task that panics.
    async fn trip(&self, cx: &Context) -> Result<(), Infallible>;
    /// Spawns a task that never ends.
    async fn hang(&self, cx: &Context) -> Result<(), Infallible>;
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
