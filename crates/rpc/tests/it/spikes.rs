//! Risk: values whose drops or sizes panic, several at once, end the process or harm others.

use std::convert::Infallible;

use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use insula_core::{Isolate, block_on, yield_now};
use insula_rpc::{
    CallError, Context, Inbound, Payload, Progress, Respond as _, catch, contract, serve,
};

use crate::desk::poll;
use crate::probe::{Recorder, Spike};

#[contract(crate = insula_rpc)]
trait Spikes {
    /// Gives so many items that panic in their drops.
    async fn give(
        &self,
        cx: &Context,
        count: u32,
    ) -> Result<impl Stream<Item = Result<Spike, Infallible>>, Infallible>;
    /// Waits until three items are there, and reads none of them.
    async fn ignore(&self, cx: &Context, items: Inbound<Spike>) -> Result<(), Infallible>;
    /// As `ignore`, but panics then.
    async fn trip(&self, cx: &Context, items: Inbound<Spike>) -> Result<(), Infallible>;
    /// Gives it back.
    async fn weigh(&self, cx: &Context, it: Heavy) -> Result<Heavy, Infallible>;
    /// Counts them.
    async fn count(&self, cx: &Context, items: Inbound<Heavy>) -> Result<usize, Infallible>;
    async fn nothing(&self, cx: &Context) -> Result<(), Infallible>;
    /// Reports its progress once.
    async fn report(&self, cx: &Context) -> Result<(), Infallible>;
}

/// Panics when it is measured, and in its drop.
struct Heavy(Recorder);

impl Payload for Heavy {
    fn size_hint(&self) -> u64 {
        panic!("it was measured")
    }
}

impl Drop for Heavy {
    fn drop(&mut self) {
        self.0.note("heavy");
        panic!("it was dropped");
    }
}

struct Service(Recorder);

async fn three_are_there(items: &Inbound<Spike>) {
    while items.traffic().bytes_moved < 3 * size_of::<Spike>() as u64 {
        yield_now().await;
    }
}

impl Spikes for Service {
    async fn give(
        &self,
        _cx: &Context,
        count: u32,
    ) -> Result<impl Stream<Item = Result<Spike, Infallible>>, Infallible> {
        let recorder = self.0.clone();
        Ok(stream::iter(0..count).map(move |_| Ok(Spike(recorder.clone()))))
    }

    async fn ignore(&self, _cx: &Context, items: Inbound<Spike>) -> Result<(), Infallible> {
        three_are_there(&items).await;
        Ok(())
    }

    async fn trip(&self, _cx: &Context, items: Inbound<Spike>) -> Result<(), Infallible> {
        three_are_there(&items).await;
        panic!("the handler trips");
    }

    async fn weigh(&self, _cx: &Context, it: Heavy) -> Result<Heavy, Infallible> {
        Ok(it)
    }

    async fn count(&self, _cx: &Context, items: Inbound<Heavy>) -> Result<usize, Infallible> {
        let drop_each = |item| drop(catch(move || drop(item)));
        Ok(items.map(drop_each).count().await)
    }

    async fn nothing(&self, _cx: &Context) -> Result<(), Infallible> {
        Ok(())
    }

    async fn report(&self, cx: &Context) -> Result<(), Infallible> {
        cx.progress(Progress::new(1));
        Ok(())
    }
}

fn start() -> (SpikesCaller, Recorder) {
    let recorder = Recorder::default();
    let service = Service(recorder.clone());
    let responder = SpikesResponder::new(service);
    let port = Isolate::spawn_with_port(|port| serve(port, responder));
    (SpikesCaller::over(port), recorder)
}

#[test]
fn unread_items_of_a_handler_are_dropped_one_by_one() {
    let (caller, recorder) = start();
    block_on(async {
        let items = caller.give(3).await.unwrap();
        // It starts after the end of the stream.
        caller.nothing().await.unwrap();
        drop(items);
    });
    assert_eq!(recorder.take(), ["spike"; 3]);
}

#[test]
fn unread_items_of_a_caller_are_dropped_one_by_one() {
    let (caller, recorder) = start();
    block_on(async {
        for trips in [false, true] {
            let streaming = if trips {
                let (mut sender, call) = caller.trip().open();
                for _ in 0..3 {
                    assert!(sender.send(Spike(recorder.clone())).await.is_ok());
                }
                call.await
            } else {
                let (mut sender, call) = caller.ignore().open();
                for _ in 0..3 {
                    assert!(sender.send(Spike(recorder.clone())).await.is_ok());
                }
                call.await
            };
            match streaming {
                Ok(()) => assert!(!trips),
                Err(CallError::Panicked { message, .. }) => {
                    assert!(trips && message == "the handler trips", "{message}");
                }
                Err(error) => panic!("{error}"),
            }
            assert_eq!(recorder.take(), ["spike"; 3]);
        }
        caller.nothing().await.unwrap();
    });
}

#[test]
fn a_value_that_panics_twice_fails_its_own_call() {
    let (caller, recorder) = start();
    block_on(async {
        // In the caller's own code it is measured without harm.
        let error = caller.weigh(Heavy(recorder.clone())).await.err();
        assert!(
            matches!(&error, Some(CallError::Panicked { message, .. }) if message == "it was measured")
        );
        assert_eq!(recorder.take(), ["heavy"]);
        caller.nothing().await.unwrap();
    });
}

#[test]
fn an_item_that_cannot_be_measured_is_sent_all_the_same() {
    let (caller, recorder) = start();
    block_on(async {
        let (mut sender, call) = caller.count().open();
        for _ in 0..2 {
            assert!(sender.send(Heavy(recorder.clone())).await.is_ok());
        }
        sender.finish();
        assert_eq!(call.await.unwrap(), 2);
    });
}

/// The report and the answer are there together.
#[test]
fn a_look_at_the_progress_that_panics_loses_no_answer() {
    let (caller, _recorder) = start();
    block_on(async {
        let mut call = caller.report().on_progress(|_| panic!("a look")).start();
        // It comes after the other one's end.
        caller.nothing().await.unwrap();
        assert!(catch(|| poll(&mut call).is_ready()).is_err());
        call.await.unwrap();
    });
}
