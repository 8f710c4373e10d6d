//! Risk: a stream that broke looks like one that ended, or a slow reader fills the memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_core::block_on;
use insula_rpc::{CallError, Calls, CancelledBy, Ended, How, Outcome, ReplyStream, WINDOW};

use crate::desk::{Desk, Woken, Worker, poll};
use crate::probe::{Oops, ProbeCaller, Recorder};

type Items = ReplyStream<u32, Oops>;
type Run<'a> = Pin<Box<dyn Future<Output = Ended> + 'a>>;

struct Stage {
    desk: Desk,
    caller: ProbeCaller,
    recorder: Recorder,
    worker: Worker,
}

impl Stage {
    fn new() -> Self {
        let (desk, recorder) = (Desk::default(), Recorder::default());
        let (caller, worker) = (desk.caller(), Worker::new(&recorder, Duration::ZERO));
        Self {
            desk,
            caller,
            recorder,
            worker,
        }
    }

    /// Starts the call and polls its handler once.
    fn open<R: Future<Output = Result<Items, E>> + Unpin, E: std::fmt::Debug>(
        &self,
        mut reply: R,
    ) -> (Items, Run<'_>) {
        assert!(poll(&mut reply).is_pending());
        let mut running = self.worker.start(self.desk.take());
        if let Poll::Ready(ended) = poll(&mut running) {
            running = Box::pin(std::future::ready(ended));
        }
        let Poll::Ready(Ok(items)) = poll(&mut reply) else {
            panic!("not open")
        };
        (items, running)
    }
}

fn next(items: &mut Items) -> Poll<Option<Result<u32, CallError<Oops>>>> {
    poll(&mut Box::pin(items.next()))
}

#[test]
fn items_come_in_order_and_end_cleanly() {
    let stage = Stage::new();
    let (mut items, mut running) = stage.open(stage.caller.count(4).into_future());
    for expected in 0..4 {
        assert!(matches!(next(&mut items), Poll::Ready(Some(Ok(item))) if item == expected));
    }
    assert!(matches!(next(&mut items), Poll::Ready(None)));
    assert!(
        matches!(next(&mut items), Poll::Ready(None)),
        "it stays over"
    );
    assert!(matches!(
        poll(&mut running),
        Poll::Ready(Ended {
            how: How::Answered,
            ..
        })
    ));
}

/// The end may come long after the last item, when the reader waits already.
#[test]
fn the_end_wakes_who_waits_for_another_item() {
    let stage = Stage::new();
    // As many as one poll of the producer hands over.
    let (mut items, mut running) = stage.open(stage.caller.count(WINDOW as u32 * 2).into_future());
    let reader = Arc::new(Woken::default());
    for _ in 0..2 {
        for _ in 0..WINDOW {
            assert!(matches!(next(&mut items), Poll::Ready(Some(Ok(_)))));
        }
        assert!(reader.poll(&mut Box::pin(items.next())).is_pending());
        let _ended_or_not = poll(&mut running);
        assert!(reader.take(), "the reader sleeps on");
    }
    assert!(matches!(next(&mut items), Poll::Ready(None)));
}

#[test]
fn an_error_comes_after_the_items_before_it_and_is_the_last() {
    let stage = Stage::new();
    let (mut items, mut running) = stage.open(stage.caller.count(1).into_future());
    assert!(matches!(next(&mut items), Poll::Ready(Some(Ok(0)))));
    let Poll::Ready(Some(Err(error))) = next(&mut items) else {
        panic!("no error")
    };
    assert_eq!(error.into_app(), Some(Oops::Number(1)));
    assert!(matches!(next(&mut items), Poll::Ready(None)));
    assert!(matches!(
        poll(&mut running),
        Poll::Ready(Ended {
            how: How::Failed,
            ..
        })
    ));
}

#[test]
fn a_stream_that_cannot_be_opened_is_an_error_of_the_call() {
    let stage = Stage::new();
    let mut reply = stage.caller.count(0).into_future();
    assert!(poll(&mut reply).is_pending());
    assert_eq!(stage.worker.run(stage.desk.take()).how, How::Failed);
    assert_eq!(
        block_on(reply).unwrap_err().into_app(),
        Some(Oops::Number(0))
    );
}

#[test]
fn a_panic_in_a_stream_is_no_clean_end() {
    let stage = Stage::new();
    let (mut items, mut running) = stage.open(stage.caller.blow().into_future());
    assert!(matches!(next(&mut items), Poll::Ready(Some(Ok(0)))));
    let Poll::Ready(Some(Err(CallError::Panicked { message, .. }))) = next(&mut items) else {
        panic!("no panic")
    };
    assert_eq!(message, "blown");
    assert!(matches!(
        poll(&mut running),
        Poll::Ready(Ended {
            how: How::Panicked,
            ..
        })
    ));
}

#[test]
fn the_death_of_the_worker_is_no_clean_end() {
    let stage = Stage::new();
    let (mut items, running) = stage.open(stage.caller.stall().into_future());
    drop(running);
    assert!(matches!(next(&mut items), Poll::Ready(Some(Ok(0)))));
    let Poll::Ready(Some(Err(error))) = next(&mut items) else {
        panic!("no error")
    };
    assert!(matches!(error, CallError::WorkerDied { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    assert_eq!(stage.recorder.take(), ["stall dropped"]);
}

#[test]
fn a_slow_reader_stops_the_producer() {
    let stage = Stage::new();
    let (mut items, mut running) = stage.open(stage.caller.count(1000).into_future());
    assert!(poll(&mut running).is_pending());
    assert_eq!(stage.recorder.take().len(), WINDOW);
    for _ in 0..WINDOW / 2 {
        assert!(matches!(next(&mut items), Poll::Ready(Some(Ok(_)))));
    }
    assert!(poll(&mut running).is_pending());
    assert_eq!(stage.recorder.take().len(), WINDOW / 2);
}

#[test]
fn reader_and_producer_wake_each_other() {
    let stage = Stage::new();
    let mut reply = stage.caller.count(10_000).into_future();
    assert!(poll(&mut reply).is_pending());
    let call = stage.desk.take();
    let worker = &stage.worker;
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            block_on(async {
                let mut items = reply.await.unwrap();
                let mut expected = 0;
                while let Some(item) = items.next().await {
                    assert_eq!(item.unwrap(), expected);
                    expected += 1;
                }
                expected
            })
        });
        assert_eq!(worker.run(call).how, How::Answered);
        assert_eq!(reader.join().unwrap(), 10_000);
    });
}

#[test]
fn dropping_the_stream_drops_the_producer() {
    let stage = Stage::new();
    let (items, mut running) = stage.open(stage.caller.stall().into_future());
    drop(items);
    assert!(matches!(
        poll(&mut running),
        Poll::Ready(Ended {
            how: How::Cancelled,
            ..
        })
    ));
    assert_eq!(stage.recorder.take(), ["stall dropped"]);
}

#[test]
fn dropping_the_call_drops_a_stream_that_was_not_taken() {
    let stage = Stage::new();
    let mut reply = stage.caller.stall().into_future();
    assert!(poll(&mut reply).is_pending());
    let mut running = stage.worker.start(stage.desk.take());
    assert!(poll(&mut running).is_pending());
    drop(reply);
    assert!(matches!(
        poll(&mut running),
        Poll::Ready(Ended {
            how: How::Cancelled,
            ..
        })
    ));
    assert_eq!(stage.recorder.take(), ["stall dropped"]);
}

#[test]
fn a_shutdown_ends_a_stream_with_an_error() {
    let stage = Stage::new();
    let mut reply = stage.caller.stall().into_future();
    assert!(poll(&mut reply).is_pending());
    let call = stage.desk.take();
    let signal = call.pending().signal().unwrap();
    let mut running = stage.worker.start(call);
    assert!(poll(&mut running).is_pending());
    let Poll::Ready(Ok(mut items)) = poll(&mut reply) else {
        panic!("not open")
    };
    signal.ask_to_stop(CancelledBy::Shutdown);
    assert!(poll(&mut running).is_ready());
    assert!(matches!(next(&mut items), Poll::Ready(Some(Ok(0)))));
    let Poll::Ready(Some(Err(error))) = next(&mut items) else {
        panic!("no error")
    };
    assert!(matches!(
        error,
        CallError::Cancelled {
            by: CancelledBy::Shutdown,
            ..
        }
    ));
}
