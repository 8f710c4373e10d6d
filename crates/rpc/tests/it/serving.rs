//! Risk: a caller hangs when the isolate behind its port is gone, or calls lose their order.

use std::convert::Infallible;
use std::time::Duration;

use futures_core::Stream;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use insula_core::{Isolate, block_on};
use insula_rpc::{CallError, Context, Outcome, Respond, WINDOW, contract, serve};

use crate::probe::{ProbeCaller, ProbeResponder, Recorder, Spike};

fn serving(recorder: &Recorder) -> ProbeCaller {
    let responder = ProbeResponder::new(recorder.clone());
    ProbeCaller::over(Isolate::spawn_with_port(|port| serve(port, responder)))
}

#[test]
fn calls_start_in_the_order_of_their_first_poll() {
    let recorder = Recorder::default();
    let caller = serving(&recorder);
    let answers = block_on(join_all(
        (0..100).map(|i| caller.echo(i.to_string()).into_future()),
    ));
    let texts: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let expected: Vec<_> = (0..100).map(|i| i.to_string()).collect();
    assert_eq!(texts, expected);
    let echoed: Vec<_> = expected.iter().map(|text| format!("echo {text}")).collect();
    assert_eq!(recorder.take(), echoed);
}

#[test]
fn a_panic_does_not_end_the_service() {
    let caller = serving(&Recorder::default());
    let error = caller.panic("once".into()).blocking().unwrap_err();
    assert!(matches!(error, CallError::Panicked { .. }));
    assert_eq!(
        caller.echo("still here".into()).blocking().unwrap(),
        "still here"
    );
}

#[test]
fn a_deadline_frees_the_caller_of_a_busy_isolate() {
    let caller = serving(&Recorder::default());
    block_on(async {
        let mut busy = caller.wait().into_future();
        assert!(crate::desk::poll(&mut busy).is_pending());
        let late = caller
            .echo("late".into())
            .deadline(Duration::from_millis(5))
            .await;
        assert_eq!(late.unwrap_err().into_request().as_deref(), Some("late"));
        drop(busy);
        assert_eq!(caller.echo("free".into()).await.unwrap(), "free");
    });
}

#[test]
fn a_closed_port_ends_every_call() {
    let port = Isolate::spawn_with_port(|port| async move { drop(port) });
    let caller = ProbeCaller::over(port);
    for _ in 0..3 {
        let error = caller.echo("nobody".into()).blocking().unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotStarted);
        assert_eq!(error.into_request().as_deref(), Some("nobody"));
    }
}

#[test]
fn callers_work_on_many_threads() {
    let caller = serving(&Recorder::default());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let caller = caller.clone();
            scope.spawn(move || {
                for i in 0..200 {
                    let text = format!("{thread}-{i}");
                    assert_eq!(caller.echo(text.clone()).blocking().unwrap(), text);
                }
            });
        }
    });
}

/// The last caller is gone, and so the port has nothing more to give.
#[test]
fn a_stream_outlives_its_caller() {
    let caller = serving(&Recorder::default());
    block_on(async {
        let many = 4 * WINDOW as u32;
        let mut items = caller.count(many).await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        drop(caller);
        for expected in 1..many {
            assert_eq!(items.next().await.unwrap().unwrap(), expected);
        }
        assert!(items.next().await.is_none());
    });
}

#[contract(crate = insula_rpc)]
trait Spiky {
    /// Gives items without end.
    async fn items(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible>;
}

struct Drops(Recorder);

impl Spiky for Drops {
    async fn items(
        &self,
        _cx: &Context,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible> {
        let spike = Spike(self.0.clone());
        Ok(stream::iter(0..).map(move |number| {
            let _held = &spike;
            Ok(number)
        }))
    }
}

/// The handlers of both streams hold a value that panics in its drop.
#[test]
fn the_end_of_a_service_drops_every_stream() {
    let recorder = Recorder::default();
    let responder = SpikyResponder::new(Drops(recorder.clone()));
    let (isolate, port) = Isolate::builder().spawn_pair(|port| serve(port, responder));
    let caller = SpikyCaller::over(port);
    block_on(async {
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut items = caller.items().await.unwrap();
            assert!(items.next().await.unwrap().is_ok());
            streams.push(items);
        }
        isolate.kill();
        isolate.exited().await;
    });
    assert_eq!(recorder.take(), ["spike"; 2]);
}
