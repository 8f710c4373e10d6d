//! Risk: a message stays where it is, because the thread that moves messages stops while another one
//! wakes it.

use std::sync::Arc;
use std::task::{Poll, Waker};

use insula_sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::Woken;
use crate::WorkerId;
use crate::wire::started::Started;
use crate::wire::turns::Turns;

/// Moves what there is to move, as a link does.
fn run(turns: &Turns<u32>, given: &AtomicU32, work: u32) {
    let mut next = Some(work);
    while let Some(moved) = next {
        let moved = moved + given.swap(0, Ordering::SeqCst);
        if moved == 2 {
            turns.end();
            return;
        }
        next = turns.rest(moved);
    }
}

fn wake(turns: &Turns<u32>, given: &AtomicU32) {
    if let Some(work) = turns.wake() {
        run(turns, given, work);
    }
}

#[test]
fn each_wake_up_is_followed_by_a_look() {
    loom::model(|| {
        let turns = Arc::new(Turns::working());
        let given = Arc::new(AtomicU32::new(0));
        let others = [(); 2].map(|()| {
            let (turns, given) = (Arc::clone(&turns), Arc::clone(&given));
            thread::spawn(move || {
                given.fetch_add(1, Ordering::SeqCst);
                wake(&turns, &given);
            })
        });
        run(&turns, &given, 0);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(given.load(Ordering::SeqCst), 0, "all was moved");
        assert!(turns.wake().is_none(), "and that was seen");
    });
}

#[test]
fn the_items_of_a_call_that_starts_are_found_or_wake() {
    loom::model(|| {
        let started = Arc::new(Started::<u8>::new());
        let other = {
            let started = Arc::clone(&started);
            thread::spawn(move || started.start(WorkerId::new(0), Some(7)))
        };
        let woken = Woken::new();
        let look = || {
            woken.poll(|cx| match started.poll_items(cx.waker()) {
                Some(item) => Poll::Ready(item),
                None => Poll::Pending,
            })
        };
        let first = look();
        other.join().unwrap();
        match first {
            Poll::Ready(item) => assert_eq!(item, 7),
            Poll::Pending => {
                assert!(woken.is_woken(), "it waits for the items");
                assert_eq!(look(), Poll::Ready(7));
            }
        }
        assert_eq!(
            started.poll_items(Waker::noop()),
            None,
            "they are there once"
        );
    });
}
