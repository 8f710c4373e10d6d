//! Risk: a call depends on the executor or the thread that waits for it.

use std::thread;
use std::time::Duration;

use insula_rpc::{CallError, Outcome};

use super::Set;
use crate::script::{Item, Step, give};
use crate::seam::Transport;

const THREADS: u64 = 4;

pub(crate) async fn plain_threads_may_block_for_answers<T: Transport>() {
    let set = Set::new::<T>().await;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let caller = set.caller.clone();
            scope.spawn(move || {
                for n in 0..100 {
                    let bytes = vec![thread as u8, n];
                    assert_eq!(caller.mirror(bytes.clone()).blocking().ok(), Some(bytes));
                }
                let error = caller.run(vec![Step::Panic("no")]).blocking();
                assert!(matches!(error, Err(CallError::Panicked { .. })));
            });
        }
    });
    set.end().await;
}

pub(crate) async fn plain_threads_may_block_for_streams<T: Transport>() {
    let set = Set::new::<T>().await;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let caller = set.caller.clone();
            scope.spawn(move || {
                insula_core::block_on(async {
                    let numbers = thread * 1000..thread * 1000 + 500;
                    let call = caller.produce(vec![], give(numbers.clone()));
                    let mut items = call.await.expect("open");
                    for number in numbers {
                        let item = items.next().await.expect("no end").expect("no error");
                        assert_eq!(item.number, number);
                    }
                    assert!(items.next().await.is_none());
                });
            });
            let caller = set.caller.clone();
            scope.spawn(move || {
                insula_core::block_on(async {
                    let (mut sender, call) = caller.absorb(vec![Step::ReadAll]).open();
                    for number in 0..500 {
                        assert!(sender.send(Item::light(number)).await.is_ok());
                    }
                    sender.finish();
                    assert_eq!(call.await.expect("answered").numbers.len(), 500);
                });
            });
        }
    });
    set.end().await;
}

pub(crate) async fn a_blocking_call_keeps_its_deadline<T: Transport>() {
    let set = Set::new::<T>().await;
    let busy = set.occupy(1).await;
    let caller = set.caller.clone();
    let waiting = thread::spawn(move || {
        let call = caller.mirror(vec![1]).deadline(Duration::from_millis(5));
        call.blocking()
    });
    let error = waiting.join().expect("no panic").expect_err("late");
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(error.into_request(), Some(vec![1]));
    set.stage.open(1);
    for call in busy {
        assert!(call.await.is_ok());
    }
    set.end().await;
}

/// A call that is polled by one thread after the other wakes the last one.
pub(crate) async fn a_call_may_move_from_thread_to_thread<T: Transport>() {
    let set = Set::new::<T>().await;
    for gate in 1..=20 {
        let mut call = set.caller.run(vec![Step::WaitFor(gate)]);
        for _ in 0..3 {
            let poll = thread::spawn(move || {
                let waker = futures_util::task::noop_waker();
                let mut cx = std::task::Context::from_waker(&waker);
                assert!(std::pin::Pin::new(&mut call).poll(&mut cx).is_pending());
                call
            });
            call = poll.join().expect("no panic");
        }
        let last = thread::spawn(move || call.blocking());
        set.stage.noted(&format!("at {gate}")).await;
        set.stage.open(gate);
        assert!(last.join().expect("no panic").is_ok());
    }
    set.end().await;
}
