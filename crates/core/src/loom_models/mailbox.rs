//! Risk: a side of a mailbox sleeps though its wait is over; or a message is dropped twice, never,
//! or received by both sides, when a close, a drop, the end of a peer or a time-out meets the
//! hand-over.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use loom::thread;

use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::blocking::mailbox::{Exchange, GaveUp, Left, Putting, Slot, Taking};
use crate::blocking::{Seat, Side};
use crate::{
    ConditionVariable, IsolateId, LockError, Mailbox, MailboxError, RawMutex, WaitError,
    block_on_by, rendezvous,
};

/// Counts its drops.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    check_bound(3, model);
}

/// Checks with another preemption bound. Models with three threads use one less, since their
/// interleavings take minutes.
fn check_bound(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// request vs receive, with real waits: each side parks or not.
#[test]
fn request_and_response() {
    check(|| {
        let (requester, responder) = rendezvous::<u8, u8>();
        let there = thread::spawn(move || {
            let request = responder.receive().unwrap();
            responder.respond(request + 1).unwrap();
        });
        assert_eq!(requester.request(1), Ok(2));
        there.join().unwrap();
    });
}

/// request vs drop of the responder, which may have received it: the requester wakes.
#[test]
fn request_vs_dead_responder() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (requester, responder) = rendezvous::<Counted, u8>();
        let there = thread::spawn(move || {
            drop(responder.try_receive());
            drop(responder);
        });
        let error = requester.request(Counted(dropped.clone())).unwrap_err();
        assert_eq!(error.error, MailboxError::PeerDied);
        there.join().unwrap();
        drop(error);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    });
}

/// receive vs drop of the requester.
#[test]
fn receive_vs_dead_requester() {
    check(|| {
        let (requester, responder) = rendezvous::<u8, u8>();
        let there = thread::spawn(move || drop(requester));
        assert_eq!(responder.receive(), Err(MailboxError::PeerDied));
        there.join().unwrap();
    });
}

/// close vs a request that is received and answered: one outcome, and both sides wake.
#[test]
fn request_vs_close() {
    check_bound(2, || {
        let (requester, responder) = rendezvous::<u8, u8>();
        let responder = Arc::new(responder);
        let closer = {
            let responder = responder.clone();
            thread::spawn(move || responder.close())
        };
        let there = thread::spawn(move || match responder.receive() {
            Ok(request) => responder.respond(request + 1).map_err(|it| it.error),
            Err(error) => Err(error),
        });
        let here = requester.request(1);
        let there = there.join().unwrap();
        closer.join().unwrap();
        match here {
            Ok(response) => assert_eq!((response, there), (2, Ok(()))),
            Err(error) => {
                assert_eq!(error.error, MailboxError::Closed);
                // Either the request came back, or the responder had it.
                let had_it = there != Err(MailboxError::Closed);
                assert_eq!(error.request.is_none(), had_it);
            }
        }
    });
}

/// time-out vs take and respond: the request comes back, or its response arrives, or the responder
/// learns that the requester no longer waits; each value is dropped once. The next request gets
/// its own response.
#[test]
fn time_out_vs_response() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let exchange = Arc::new(Exchange::<Counted, Counted>::new());
        let there = {
            let (exchange, dropped) = (exchange.clone(), dropped.clone());
            thread::spawn(move || match exchange.take() {
                Some(Ok(request)) => {
                    drop(request);
                    Some(exchange.answer(Some(Counted(dropped))).is_ok())
                }
                _ => None,
            })
        };
        exchange.post(Counted(dropped.clone())).unwrap();
        let gave_up = exchange.give_up();
        // Queued after a request that the responder still has, or in an empty exchange.
        exchange.post(Counted(dropped.clone())).unwrap();
        let answered = there.join().unwrap();
        match (&gave_up, answered) {
            (GaveUp::Answered(Some(_)), Some(true))
            | (GaveUp::Left, Some(false))
            | (GaveUp::TookBack(_), None) => {}
            // The responder took the second request.
            (GaveUp::TookBack(_), Some(true)) => {
                assert!(exchange.is_settled());
                drop(exchange.collect().unwrap());
                exchange.post(Counted(dropped.clone())).unwrap();
            }
            other => panic!("{other:?}"),
        }
        drop(gave_up);
        let before = dropped.load(Ordering::SeqCst);
        drop(exchange.take().unwrap().unwrap());
        assert_eq!(dropped.load(Ordering::SeqCst), before + 1);
        exchange.answer(None).map_err(|it| it.1).unwrap();
        assert_eq!(exchange.collect().unwrap_err(), MailboxError::Unanswered);
        drop(exchange);
    });
}

/// time-out vs the death of the responder that has the request.
#[test]
fn time_out_vs_dead_responder() {
    check(|| {
        let exchange = Arc::new(Exchange::<u8, u8>::new());
        exchange.post(1).unwrap();
        let there = {
            let exchange = exchange.clone();
            thread::spawn(move || {
                let taken = exchange.take().is_some();
                exchange.leave(Side::Responder);
                taken
            })
        };
        let gave_up = exchange.give_up();
        let taken = there.join().unwrap();
        assert_eq!(matches!(gave_up, GaveUp::Left), taken, "{gave_up:?}");
        let refused = exchange.post(2).unwrap_err();
        assert_eq!(
            (refused.message, refused.error),
            (2, MailboxError::PeerDied)
        );
    });
}

/// put vs take, with real waits: two messages through one slot, so that both sides wait.
#[test]
fn put_vs_take() {
    check(|| {
        let mailbox = Mailbox::new();
        let other = mailbox.clone();
        let there = thread::spawn(move || {
            other.put(1).unwrap();
            other.put(2).unwrap();
        });
        assert_eq!(mailbox.take(), Ok(1));
        assert_eq!(mailbox.take(), Ok(2));
        there.join().unwrap();
    });
}

/// take vs put and then the drop of the other handle: the message arrives before the error.
#[test]
fn take_vs_dead_peer() {
    check(|| {
        let mailbox = Mailbox::new();
        let other = mailbox.clone();
        let there = thread::spawn(move || other.put(1).unwrap());
        assert_eq!(mailbox.take(), Ok(1));
        assert_eq!(mailbox.take(), Err(MailboxError::PeerDied));
        there.join().unwrap();
    });
}

/// put vs close: the message is dropped once, wherever it is by then.
#[test]
fn put_vs_close() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mailbox = Mailbox::new();
        mailbox.try_put(Counted(dropped.clone())).unwrap();
        let closer = mailbox.clone();
        let there = thread::spawn(move || closer.close());
        let refused = mailbox.put(Counted(dropped.clone())).unwrap_err();
        assert_eq!(refused.error, MailboxError::Closed);
        there.join().unwrap();
        drop(refused);
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
    });
}

/// time-out vs put: the taker gets the message, or it is kept for the next taker.
#[test]
fn time_out_vs_put() {
    check(|| {
        let slot = Arc::new(insula_sync::Mutex::new(Slot::new()));
        let seat = Seat::new();
        let ticket = slot.lock().wait_to_take(&seat);
        let there = {
            let slot = slot.clone();
            thread::spawn(move || match slot.lock().put(7) {
                Putting::Done(settled) => settled.len(),
                Putting::Full(_) | Putting::Refused(_) => panic!("there is room"),
            })
        };
        let taken = slot
            .lock()
            .stop_taking(ticket, MailboxError::Wait(WaitError::TimedOut));
        let settled = there.join().unwrap();
        assert_eq!(taken.is_ok(), settled == 1);
        match (taken, slot.lock().take()) {
            (Ok(7), Taking::Empty)
            | (Err(MailboxError::Wait(WaitError::TimedOut)), Taking::Done(7, _)) => {}
            _ => panic!("once, and once only"),
        }
    });
}

/// kill vs the hand-over of a lock: the waiter after the killed one gets it, or it is free.
#[test]
fn killed_waiter_vs_unlock() {
    check_bound(2, || {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        let killed = {
            let mutex = mutex.clone();
            thread::spawn(move || match mutex.acquire_or_join().unwrap() {
                // A killed waiter's stack unwinds, which drops this.
                Some(waiting) => drop(waiting),
                None => mutex.unlock().unwrap(),
            })
        };
        let next = {
            let mutex = mutex.clone();
            thread::spawn(move || {
                mutex.lock().unwrap();
                mutex.unlock().unwrap();
            })
        };
        mutex.unlock().unwrap();
        killed.join().unwrap();
        next.join().unwrap();
        assert!(mutex.try_lock());
    });
}

/// close vs the hand-over of a lock: the waiter gets the lock or the error, and wakes.
#[test]
fn close_vs_unlock() {
    check(|| {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        let waiter = {
            let mutex = mutex.clone();
            thread::spawn(move || match mutex.lock() {
                Ok(()) => mutex.unlock().unwrap(),
                Err(error) => assert_eq!(error, LockError::Closed),
            })
        };
        mutex.close();
        mutex.unlock().unwrap();
        waiter.join().unwrap();
        assert!(!mutex.try_lock());
    });
}

/// time-out vs the hand-over of a lock: the waiter has it, or it is free.
#[test]
fn time_out_vs_unlock() {
    check(|| {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        let late = {
            let mutex = mutex.clone();
            thread::spawn(move || match mutex.acquire_or_join().unwrap() {
                Some(waiting) => matches!(waiting.leave(), Left::Settled(Ok(()))),
                None => true,
            })
        };
        mutex.unlock().unwrap();
        assert_eq!(late.join().unwrap(), !mutex.try_lock());
    });
}

/// end of the holder vs a waiter: before, during or after the wait, the waiter wakes.
#[test]
fn lock_vs_end_of_holder() {
    check(|| {
        let mutex = RawMutex::new();
        let holder = {
            let mutex = mutex.clone();
            // The thread ends while it holds the lock, in whichever order the two acquire it.
            thread::spawn(move || mutex.lock().unwrap())
        };
        match mutex.lock() {
            Ok(()) => mutex.unlock().unwrap(),
            Err(error) => {
                assert_eq!(error, LockError::HolderEnded);
                assert!(mutex.recover() && mutex.try_lock());
            }
        }
        holder.join().unwrap();
    });
}

/// kill vs a notification: the waiter after the killed one gets it.
#[test]
fn killed_waiter_vs_notify() {
    check(|| {
        let condition = Arc::new(ConditionVariable::new());
        let killed = condition.enqueue().unwrap();
        let next = condition.enqueue().unwrap();
        let there = {
            let condition = condition.clone();
            thread::spawn(move || condition.notify_one())
        };
        drop(killed);
        assert!(next.wait(None).unwrap().is_some());
        there.join().unwrap();
    });
}

/// kill vs a put: the message is kept for the next taker, once.
#[test]
fn killed_taker_vs_put() {
    check(|| {
        let slot = Arc::new(insula_sync::Mutex::new(Slot::new()));
        let seat = Seat::new();
        let ticket = slot.lock().wait_to_take(&seat);
        let there = {
            let slot = slot.clone();
            thread::spawn(move || assert!(matches!(slot.lock().put(7), Putting::Done(_))))
        };
        let (message, settled) = slot.lock().abandon_taking(ticket);
        assert!(message.is_none() && settled.is_empty());
        there.join().unwrap();
        assert!(matches!(slot.lock().take(), Taking::Done(7, _)));
        assert!(matches!(slot.lock().take(), Taking::Empty));
    });
}

/// A spurious wake-up vs a real one: the wait for a future ends, whichever of the two comes between
/// its poll and its sleep.
#[test]
fn two_wakes_vs_wait() {
    check(|| {
        let shared = Arc::new(insula_sync::Mutex::new((false, None::<Waker>)));
        let there = {
            let shared = shared.clone();
            thread::spawn(move || {
                for is_done in [false, true] {
                    let waker = {
                        let mut shared = shared.lock();
                        shared.0 |= is_done;
                        shared.1.clone()
                    };
                    waker.into_iter().for_each(Waker::wake);
                }
            })
        };
        let future = poll_fn(|cx| {
            let mut shared = shared.lock();
            shared.1 = Some(cx.waker().clone());
            if shared.0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        assert_eq!(block_on_by(future, IsolateId(1), None), Ok(()));
        there.join().unwrap();
    });
}
