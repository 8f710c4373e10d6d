//! Risk: a wake-up is lost, two threads poll at once, or an end is called twice or never.

use std::future::{pending, poll_fn, ready};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;

use insula::one_shot;
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU32, Ordering};

use super::InPlace;

fn start<T: 'static>(
    future: impl Future<Output = T> + Send + 'static,
    end: impl FnOnce(Option<T>) + Send + 'static,
) -> Arc<InPlace<T>> {
    let started = InPlace::new(future, end);
    started.begin();
    started
}

/// Records the ends, in order.
type Ends = Arc<Mutex<Vec<Option<u32>>>>;

fn note(ends: &Ends) -> impl FnOnce(Option<u32>) + Send + 'static {
    let ends = Arc::clone(ends);
    move |end| ends.lock().push(end)
}

#[test]
fn what_is_ready_ends_at_once() {
    let ends = Ends::default();
    let started = start(ready(1), note(&ends));
    assert_eq!(*ends.lock(), [Some(1)]);
    started.cancel();
    assert_eq!(*ends.lock(), [Some(1)], "it was over already");
}

#[test]
fn a_wake_up_during_the_poll_leads_to_another_one() {
    let ends = Ends::default();
    let mut polls = 0;
    let future = poll_fn(move |cx| {
        polls += 1;
        if polls == 3 {
            return Poll::Ready(polls);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    start(future, note(&ends));
    assert_eq!(*ends.lock(), [Some(3)]);
}

#[test]
fn whoever_wakes_it_polls_it() {
    let ends = Ends::default();
    let (answer, answered) = one_shot();
    let future = async move { answered.await.unwrap_or(0) };
    let started = start(future, note(&ends));
    assert_eq!(*ends.lock(), []);
    answer.send(7);
    assert_eq!(*ends.lock(), [Some(7)]);
    drop(started);
}

#[test]
fn a_cancelled_one_is_dropped_and_told_so() {
    let ends = Ends::default();
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let future = async move {
        pending::<()>().await;
        drop(inside);
        1
    };
    let started = start(future, note(&ends));
    started.cancel();
    started.cancel();
    assert_eq!(*ends.lock(), [None]);
    assert_eq!(Arc::strong_count(&held), 1, "the future is gone");
}

#[test]
fn one_that_cancels_itself_ends_when_its_poll_returns() {
    let ends = Ends::default();
    let own: Arc<Mutex<Option<Arc<InPlace<u32>>>>> = Arc::default();
    let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
    let (mine, slot) = (Arc::clone(&own), Arc::clone(&waker));
    let future = poll_fn(move |cx| {
        *slot.lock() = Some(cx.waker().clone());
        let own = mine.lock().take();
        if let Some(own) = own {
            own.cancel();
            // A wake-up after the cancellation changes nothing.
            cx.waker().wake_by_ref();
        }
        Poll::<u32>::Pending
    });
    let started = start(future, note(&ends));
    *own.lock() = Some(Arc::clone(&started));
    let waker = waker.lock().take().expect("it was polled");
    waker.wake();
    assert_eq!(*ends.lock(), [None]);
}

#[test]
fn wake_ups_from_several_threads_are_none_lost() {
    for _ in 0..200 {
        let ends = Ends::default();
        let (count, is_polled) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
        let wakers: Arc<Mutex<Option<Waker>>> = Arc::default();
        let (seen, slot) = (Arc::clone(&count), Arc::clone(&wakers));
        let future = poll_fn(move |cx| {
            assert_eq!(is_polled.swap(1, Ordering::SeqCst), 0, "two at once");
            *slot.lock() = Some(cx.waker().clone());
            let count = seen.load(Ordering::SeqCst);
            is_polled.store(0, Ordering::SeqCst);
            if count == 3 {
                Poll::Ready(count)
            } else {
                Poll::Pending
            }
        });
        start(future, note(&ends));
        let waker = wakers.lock().clone().expect("it was polled");
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    count.fetch_add(1, Ordering::SeqCst);
                    waker.wake_by_ref();
                });
            }
        });
        assert_eq!(*ends.lock(), [Some(3)]);
    }
}

#[test]
fn an_answer_and_a_cancellation_at_once_are_one_end() {
    for _ in 0..200 {
        let ends = Ends::default();
        let (answer, answered) = one_shot();
        let future = async move { answered.await.unwrap_or(0) };
        let started = start(future, note(&ends));
        thread::scope(|scope| {
            scope.spawn(|| started.cancel());
            scope.spawn(move || answer.send(1));
        });
        let ends = ends.lock();
        assert!(*ends == [None] || *ends == [Some(1)], "{ends:?}");
    }
}
