//! Waits in a circle are refused, all others are not.

use std::sync::Arc;
use std::sync::Barrier;

use insula_core::{
    AskBlockingError, AskError, Deadlock, Isolate, LockError, Mailbox, MailboxError, Mutex,
    ReceivePort, ReplyTo, Runtime, WaitError, one_shot, rendezvous,
};

use super::{LONG, SHORT, names, run_in};

/// `count` isolates in a ring: each serves one, and makes a request of the next. Exactly one is
/// refused, with all names; then the others come to their end.
fn ring(count: usize) {
    let runtime = Runtime::builder().threads(2).build();
    let all_attached = Arc::new(Barrier::new(count));
    let (mut requesters, mut responders) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (requester, responder) = rendezvous::<(), ()>();
        requesters.push(requester);
        responders.push(responder);
    }
    responders.rotate_right(1);
    let replies: Vec<_> = requesters
        .into_iter()
        .zip(responders)
        .enumerate()
        .map(|(n, (requester, responder))| {
            let all_attached = all_attached.clone();
            let body = move || {
                responder.attach();
                insula_core::blocking(|| all_attached.wait());
                requester.request(()).map_err(|it| it.error)
            };
            run_in(&runtime, &format!("ring-{n}"), body).1
        })
        .collect();
    let (mut refused, mut died) = (0, 0);
    for reply in replies {
        match reply.wait().expect("nobody is killed") {
            Err(MailboxError::Wait(WaitError::Deadlock(deadlock))) => {
                let mut names = names(&deadlock);
                names.sort_unstable();
                let all: Vec<_> = (0..count).map(|n| format!("ring-{n}")).collect();
                assert_eq!(names, all);
                refused += 1;
            }
            // A refused isolate ends, and its responder with it; and so on around the ring.
            Err(MailboxError::PeerDied) => died += 1,
            other => panic!("{other:?}"),
        }
    }
    // With more than one round of refusals there would be fewer deaths.
    assert_eq!((refused, died), (1, count - 1));
    runtime.shut_down();
}

#[test]
fn a_ring_of_requests_is_refused_once() {
    for count in 1..=6 {
        ring(count);
    }
}

#[test]
fn the_cycle_is_told_in_order() {
    let deadlock = Deadlock {
        names: vec!["a".into(), "b".into()],
    };
    assert_eq!(
        deadlock.to_string(),
        "the wait would never end: a waits for b waits for a"
    );
}

/// A responder that waits for a request from an isolate that waits for it in another way.
#[test]
fn a_question_to_a_waiting_isolate_is_refused() {
    let runtime = Runtime::builder().threads(2).build();
    let (requester, responder) = rendezvous::<(), ()>();
    let (send_port, port) = one_shot();
    let worker = Isolate::builder().runtime(&runtime).name("worker").spawn(
        move |()| {
            let port = ReceivePort::<ReplyTo<u8>>::new();
            send_port.send(port.send_port());
            port.listen(|reply| reply.send(1));
            // It never comes to its port.
            responder.receive()?;
            responder.respond(()).map_err(|it| it.error)
        },
        (),
    );
    let port = port.wait().unwrap();
    let (_, asked) = run_in(&runtime, "dispatcher", move || {
        requester.attach();
        requester.peer_is(&worker);
        // Until the worker waits, the question does.
        let refused = loop {
            match port.ask_blocking(|reply| reply, Some(SHORT)) {
                Err(AskBlockingError::Wait(WaitError::TimedOut)) => {}
                refused => break refused,
            }
        };
        // A request does end its wait, and then it comes to its port.
        requester.request(()).unwrap();
        (refused, port.ask_blocking(|reply| reply, Some(LONG)))
    });
    let (refused, answered) = asked.wait().unwrap();
    match refused {
        Err(AskBlockingError::Wait(WaitError::Deadlock(deadlock))) => {
            assert_eq!(names(&deadlock), ["dispatcher", "worker"]);
        }
        other => panic!("{other:?}"),
    }
    // The questions that were not taken back are answered too, though no asker waits.
    assert_eq!(answered, Ok(1));
    runtime.shut_down();
}

#[test]
fn a_question_to_oneself_is_refused() {
    let runtime = Runtime::builder().threads(1).build();
    let (_, asked) = run_in(&runtime, "lonely", || {
        let port = ReceivePort::<ReplyTo<u8>>::new();
        port.send_port().ask_blocking(|reply| reply, None)
    });
    match asked.wait().unwrap() {
        Err(AskBlockingError::Wait(WaitError::Deadlock(deadlock))) => {
            assert_eq!(names(&deadlock), ["lonely"]);
        }
        other => panic!("{other:?}"),
    }
    runtime.shut_down();
}

#[test]
fn a_blocking_question_is_answered_or_told_why_not() {
    let runtime = Runtime::builder().threads(1).build();
    let port = Isolate::builder().runtime(&runtime).spawn_with_port(
        |port: ReceivePort<Option<ReplyTo<u8>>>| {
            port.listen(|reply| {
                if let Some(reply) = reply {
                    reply.send(3);
                }
            });
        },
    );
    let asker = port.clone();
    let (_, answer) = run_in(&runtime, "asker", move || asker.ask_blocking(Some, None));
    assert_eq!(answer.wait(), Ok(Ok(3)));
    assert_eq!(port.ask_blocking(Some, Some(LONG)), Ok(3));
    let dropped = port.ask_blocking(|reply: ReplyTo<u8>| (drop(reply), None).1, None);
    assert_eq!(dropped, Err(AskBlockingError::Ask(AskError::NoReply)));
    runtime.shut_down();
    let closed = port.ask_blocking(Some, None);
    assert_eq!(closed, Err(AskBlockingError::Ask(AskError::Closed)));
}

fn is_refused(locked: &Result<(), LockError>) -> bool {
    matches!(locked, Err(LockError::Wait(WaitError::Deadlock(_))))
}

#[test]
fn locks_in_opposite_order_are_refused() {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let both_held = Arc::new(Barrier::new(2));
    let (other, other_held) = (locks.clone(), both_held.clone());
    let thread = std::thread::Builder::new()
        .name("other".to_owned())
        .spawn(move || {
            let _second = other.1.lock().unwrap();
            other_held.wait();
            other.0.lock().map(drop)
        })
        .unwrap();
    let first = locks.0.lock().unwrap();
    both_held.wait();
    let here = locks.1.lock().map(drop);
    drop(first);
    let there = thread.join().unwrap();
    let refused = [&here, &there].into_iter().filter(|it| is_refused(it));
    assert_eq!(refused.count(), 1, "{here:?} {there:?}");
    // And twice by the same.
    let _held = locks.0.lock().unwrap();
    assert!(is_refused(&locks.0.lock().map(drop)));
}

#[test]
fn takers_of_each_others_mailboxes_are_refused() {
    let runtime = Runtime::builder().threads(2).build();
    let (one, other) = (Mailbox::<u8>::new(), Mailbox::<u8>::new());
    let (one_there, other_there) = (one.clone(), other.clone());
    let attached = Arc::new(Barrier::new(2));
    let attached_there = attached.clone();
    let (_, here) = run_in(&runtime, "here", move || {
        other.attach();
        insula_core::blocking(|| attached.wait());
        one.take()
    });
    let (_, there) = run_in(&runtime, "there", move || {
        one_there.attach();
        insula_core::blocking(|| attached_there.wait());
        other_there.take()
    });
    let results = [here.wait().unwrap(), there.wait().unwrap()];
    let refused = results
        .iter()
        .filter(|it| matches!(it, Err(MailboxError::Wait(WaitError::Deadlock(_)))));
    assert_eq!(refused.count(), 1, "{results:?}");
    runtime.shut_down();
}

/// The last of three parties that could put something does not wait for the others to do it. If one
/// of the handles may have been handed to a fourth party, the wait is allowed.
#[test]
fn the_last_taker_of_a_mailbox_is_refused() {
    for is_handed_on in [false, true] {
        let runtime = Runtime::builder().threads(2).build();
        let mailbox = Mailbox::<u8>::new();
        let takers: Vec<_> = ["one", "two"]
            .map(|name| {
                let own = mailbox.clone();
                run_in(&runtime, name, move || {
                    own.attach();
                    own.take()
                })
            })
            .into();
        let (last, spare) = (mailbox.clone(), mailbox);
        super::until_shown(&spare, "takers: 2");
        let (_, taken) = run_in(&runtime, "last", move || {
            if is_handed_on {
                // Used here; from now on another party may use it.
                let _ = spare.try_take();
            } else {
                drop(spare);
            }
            last.attach();
            // Until the others are not only in the row but asleep.
            let taken = loop {
                match last.take_timeout(SHORT) {
                    Err(MailboxError::Wait(WaitError::TimedOut)) if !is_handed_on => {}
                    taken => break taken,
                }
            };
            (0..3).for_each(|_| drop(last.put(7)));
            taken
        });
        match taken.wait().unwrap() {
            Err(MailboxError::Wait(WaitError::Deadlock(who))) if !is_handed_on => {
                assert_eq!(who.names.len(), 3);
            }
            Err(MailboxError::Wait(WaitError::TimedOut)) if is_handed_on => {}
            other => panic!("{other:?}"),
        }
        for (_, taken) in takers {
            assert!(taken.wait().is_ok());
        }
        runtime.shut_down();
    }
}

/// The use of an end does not prove where it is: it may be handed on afterwards. So the holder of
/// an end that was used, and not attached, is not certain, wherever on the way it is found.
#[test]
fn a_wait_for_an_isolate_that_waits_for_a_responder_handed_on_is_not_refused() {
    let answers = Isolate::run(|| {
        let (requester, responder) = rendezvous::<u32, u32>();
        let asks = move || (requester.request(1).unwrap(), requester.request(2).unwrap());
        let asking = Isolate::run(asks);
        let answer = |responder: &insula_core::Responder<u32, u32>| {
            let request = responder.receive().unwrap();
            responder.respond(10 * request).unwrap();
        };
        answer(&responder);
        super::until(|| responder.state() == insula_core::RendezvousState::Request);
        // Both sleeps make it likely that the waits are in the graph; it holds without them, too.
        std::thread::sleep(SHORT);
        let later = move |()| {
            std::thread::sleep(3 * SHORT);
            answer(&responder);
        };
        Isolate::spawn(later, ());
        asking.wait()
    });
    assert_eq!(answers.wait(), Ok(Ok((10, 20))));
}

#[test]
fn a_wait_for_an_isolate_that_waits_for_a_handle_handed_on_is_not_refused() {
    let taken = Isolate::run(|| {
        let mailbox = Mailbox::<u32>::new();
        let other = mailbox.clone();
        let taking = Isolate::run(move || (other.take().unwrap(), other.take().unwrap()));
        mailbox.put(1).unwrap();
        super::until_shown(&mailbox, "takers: 1");
        // As above, both sleeps.
        std::thread::sleep(SHORT);
        let later = move |()| {
            std::thread::sleep(3 * SHORT);
            mailbox.put(2).unwrap();
        };
        Isolate::spawn(later, ());
        taking.wait()
    });
    assert_eq!(taken.wait(), Ok(Ok((1, 2))));
}

/// With one handle for two parties, either can end the other's wait.
#[test]
fn a_taker_whose_handle_is_shared_by_reference_is_not_refused() {
    let runtime = Runtime::builder().threads(2).build();
    let mailbox = Arc::new(Mailbox::<u8>::new());
    let (peers, own) = ((*mailbox).clone(), mailbox.clone());
    mailbox.try_put(0).unwrap();
    let (taker, taken) = run_in(&runtime, "taker", move || {
        assert_eq!(own.take(), Ok(0));
        own.take()
    });
    super::until_shown(&mailbox, "takers: 1");
    // That this thread has used the handle too is known from here on.
    mailbox.put(1).unwrap();
    assert_eq!(taken.wait(), Ok(Ok(1)));
    drop(taker);
    let own = mailbox.clone();
    let (taker, taken) = run_in(&runtime, "taker", move || own.take());
    super::until_shown(&mailbox, "takers: 1");
    // Nothing shows when a wait is in the graph; with and without both sleeps it must hold.
    std::thread::sleep(SHORT);
    let (_, waited) = run_in(&runtime, "peer", move || {
        peers.attach();
        insula_core::block_on_by(taker.exited(), taker.id(), Some(LONG)).is_ok()
    });
    std::thread::sleep(SHORT);
    mailbox.put(2).unwrap();
    assert_eq!(taken.wait(), Ok(Ok(2)));
    assert_eq!(waited.wait(), Ok(true));
    runtime.shut_down();
}

/// A time-out ends a wait, so no other wait is refused because of it.
#[test]
fn a_wait_that_ends_by_itself_closes_no_cycle() {
    let runtime = Runtime::builder().threads(2).build();
    let (mine, theirs) = (Mailbox::<u8>::new(), Mailbox::<u8>::new());
    let (mine_there, theirs_there) = (mine.clone(), theirs.clone());
    let (_, there) = run_in(&runtime, "there", move || {
        mine_there.attach();
        // Its own wait is refused while the other one waits for it, or times out.
        while theirs_there.take_timeout(SHORT).is_err() {
            let _ = mine_there.try_put(1);
        }
    });
    let (_, here) = run_in(&runtime, "here", move || {
        theirs.attach();
        let taken = mine.take();
        theirs.put(2).unwrap();
        taken
    });
    assert_eq!(here.wait(), Ok(Ok(1)));
    there.wait().unwrap();
    runtime.shut_down();
}

/// Edges of waits that have been ended are not followed: request and response, both ways, as
/// fast as it goes.
#[test]
fn quick_exchanges_both_ways_are_never_refused() {
    let rounds = super::super::MANY;
    let runtime = Runtime::builder().threads(2).build();
    let (ask_there, answer_there) = rendezvous::<u64, u64>();
    let (ask_here, answer_here) = rendezvous::<u64, u64>();
    let (_, there) = run_in(&runtime, "there", move || {
        for n in 0..rounds {
            assert_eq!(answer_there.receive(), Ok(n));
            answer_there.respond(n + 1).unwrap();
            assert_eq!(ask_here.request(n), Ok(n + 2));
        }
    });
    let (_, here) = run_in(&runtime, "here", move || {
        for n in 0..rounds {
            assert_eq!(ask_there.request(n), Ok(n + 1));
            assert_eq!(answer_here.receive(), Ok(n));
            answer_here.respond(n + 2).unwrap();
        }
    });
    here.wait().unwrap();
    there.wait().unwrap();
    runtime.shut_down();
}
