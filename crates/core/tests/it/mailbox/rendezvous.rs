//! Requests and responses: order, states, time-outs, and every way in which a peer can die.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use insula_core::{
    ExitReason, Isolate, MailboxError, Priority, RendezvousState, Requester, Responder, Runtime,
    WaitError, block_on, one_shot, rendezvous,
};

use super::{LONG, SHORT, run_in, until};

type Ends = (Requester<u64, u64>, Responder<u64, u64>);

fn ends() -> Ends {
    rendezvous()
}

#[test]
fn every_request_gets_its_own_response() {
    let count = super::super::MANY;
    let (requester, responder) = ends();
    let worker = std::thread::spawn(move || responder.message_loop(|_, n| n + 1));
    for n in 0..count {
        assert_eq!(requester.request(n), Ok(n + 1));
    }
    drop(requester);
    assert_eq!(worker.join().unwrap(), Err(MailboxError::PeerDied));
}

#[test]
fn both_ends_know_whether_the_rendezvous_was_closed() {
    type Close = fn(&Ends);
    let closes: [Close; 2] = [|ends| ends.0.close(), |ends| ends.1.close()];
    for close in closes {
        let ends = ends();
        assert!(!ends.0.is_closed() && !ends.1.is_closed());
        close(&ends);
        assert!(ends.0.is_closed() && ends.1.is_closed());
    }
    // An end that has gone is no close.
    let (requester, responder) = ends();
    drop(responder);
    assert!(!requester.is_closed());
}

#[test]
fn isolates_of_one_thread_serve_each_other() {
    let runtime = Runtime::builder().threads(1).build();
    let (requester, responder) = ends();
    let (_, served) = run_in(&runtime, "worker", move || {
        responder.message_loop(|responder, n| {
            if n == 99 {
                responder.stop();
            }
            2 * n
        })
    });
    let (_, sum) = run_in(&runtime, "dispatcher", move || {
        (0..100).map(|n| requester.request(n).unwrap()).sum::<u64>()
    });
    assert_eq!(sum.wait(), Ok(9900));
    assert_eq!(served.wait(), Ok(Ok(())));
    runtime.shut_down();
}

#[test]
fn what_moves_is_not_copied() {
    let (requester, responder) = rendezvous::<Vec<u8>, Vec<u8>>();
    let worker = std::thread::spawn(move || responder.message_loop(|_, bytes| bytes));
    let bytes = vec![7; 1 << 20];
    let at = bytes.as_ptr() as usize;
    let back = requester.request(bytes).unwrap();
    assert_eq!((back.len(), back.as_ptr() as usize), (1 << 20, at));
    assert_eq!(requester.request(Vec::new()), Ok(Vec::new()));
    drop(requester);
    let _ = worker.join();
}

#[test]
fn the_states_are_none_request_and_response() {
    let (requester, responder) = ends();
    assert_eq!(requester.state(), RendezvousState::None);
    assert_eq!(responder.try_receive(), Err(MailboxError::Empty));
    let requester = Arc::new(requester);
    let dispatcher = {
        let requester = requester.clone();
        std::thread::spawn(move || requester.request(1))
    };
    assert_eq!(responder.receive(), Ok(1));
    assert_eq!(responder.state(), RendezvousState::Request);
    responder.respond(2).unwrap();
    assert_eq!(dispatcher.join().unwrap(), Ok(2));
    assert_eq!(requester.state(), RendezvousState::None);
}

#[test]
fn illegal_use_is_an_error() {
    let (requester, responder) = ends();
    let unasked = responder.respond(5).unwrap_err();
    assert_eq!(
        (unasked.message, unasked.error),
        (5, MailboxError::IllegalState)
    );
    assert_eq!(responder.decline(), Err(MailboxError::IllegalState));
    let requester = Arc::new(requester);
    let dispatcher = {
        let requester = requester.clone();
        std::thread::spawn(move || requester.request(1))
    };
    assert_eq!(responder.receive(), Ok(1));
    let second = requester.request(3).unwrap_err();
    assert_eq!(
        (second.request, second.error),
        (Some(3), MailboxError::IllegalState)
    );
    assert_eq!(responder.receive(), Err(MailboxError::IllegalState));
    responder.decline().unwrap();
    let declined = dispatcher.join().unwrap().unwrap_err();
    assert_eq!(
        (declined.request, declined.error),
        (None, MailboxError::Unanswered)
    );
}

/// A refusal that gave the winner's place free would let the user after it in.
#[test]
fn however_often_a_second_requester_is_refused_the_first_keeps_its_place() {
    let (requester, responder) = ends();
    let requester = Arc::new(requester);
    let first = {
        let requester = requester.clone();
        std::thread::spawn(move || requester.request(1))
    };
    until(|| responder.state() == RendezvousState::Request);
    for n in 2..6 {
        let refused = requester.request_timeout(n, SHORT).unwrap_err();
        assert_eq!(
            (refused.request, refused.error),
            (Some(n), MailboxError::IllegalState)
        );
    }
    assert_eq!(responder.receive_timeout(LONG), Ok(1));
    responder.respond(10).unwrap();
    assert_eq!(first.join().unwrap(), Ok(10));
    // And the place is free again afterwards.
    let last = requester.request_timeout(7, SHORT).unwrap_err();
    assert_eq!(last.error, MailboxError::Wait(WaitError::TimedOut));
}

#[test]
fn however_often_a_second_responder_is_refused_the_first_keeps_its_place() {
    let (requester, responder) = ends();
    let responder = Arc::new(responder);
    let first = {
        let responder = responder.clone();
        std::thread::spawn(move || {
            // The looks below may be there first, each for a moment.
            let request = loop {
                match responder.receive() {
                    Err(MailboxError::IllegalState) => std::thread::yield_now(),
                    request => break request,
                }
            };
            (request, responder.respond(20))
        })
    };
    until(|| responder.try_receive() == Err(MailboxError::IllegalState));
    for _ in 0..3 {
        let illegal = MailboxError::IllegalState;
        assert_eq!(responder.try_receive(), Err(illegal.clone()));
        assert_eq!(responder.receive_timeout(SHORT), Err(illegal.clone()));
        assert_eq!(responder.decline(), Err(illegal.clone()));
        assert_eq!(responder.respond(3).unwrap_err().error, illegal);
    }
    assert_eq!(requester.request(2), Ok(20));
    assert_eq!(first.join().unwrap(), (Ok(2), Ok(())));
}

#[test]
fn a_request_that_timed_out_leaves_nothing_behind() {
    let (requester, responder) = ends();
    // The responder did not receive it, so it comes back.
    let late = requester.request_timeout(1, SHORT).unwrap_err();
    assert_eq!(
        (late.request, late.error),
        (Some(1), MailboxError::Wait(WaitError::TimedOut))
    );
    assert_eq!(responder.try_receive(), Err(MailboxError::Empty));
    // Received: its response goes back to the responder, the next request is served behind it.
    let (go_on, gone_on) = one_shot();
    let worker = std::thread::spawn(move || {
        assert_eq!(responder.receive(), Ok(2));
        until(|| responder.state() == RendezvousState::None);
        go_on.send(());
        until(|| responder.state() == RendezvousState::Request);
        let unwanted = responder.respond(20).unwrap_err();
        assert_eq!(
            (unwanted.message, unwanted.error),
            (20, MailboxError::Abandoned)
        );
        assert_eq!(responder.receive(), Ok(3));
        responder.respond(30).unwrap();
    });
    // A thread that starts late has not received it yet, and then it comes back as above.
    let received = (0..10_000).find_map(|_| {
        let late = requester.request_timeout(2, SHORT).unwrap_err();
        assert_eq!(late.error, MailboxError::Wait(WaitError::TimedOut));
        late.request.is_none().then_some(())
    });
    assert!(received.is_some(), "the responder never received it");
    gone_on.wait().unwrap();
    assert_eq!(requester.request(3), Ok(30));
    worker.join().unwrap();
}

#[test]
fn time_outs_are_kept() {
    let (requester, responder) = ends();
    let start = Instant::now();
    assert_eq!(
        responder.receive_timeout(SHORT),
        Err(MailboxError::Wait(WaitError::TimedOut))
    );
    let late = requester.request_timeout(1, SHORT).unwrap_err();
    assert_eq!(late.error, MailboxError::Wait(WaitError::TimedOut));
    assert!(start.elapsed() >= 2 * SHORT);
    // One that the clock cannot count to is none.
    let worker = std::thread::spawn(move || responder.receive_timeout(Duration::MAX));
    drop(requester);
    assert_eq!(worker.join().unwrap(), Err(MailboxError::PeerDied));
}

#[test]
fn close_wakes_both_sides() {
    let (requester, responder) = ends();
    let responder = Arc::new(responder);
    let worker = {
        let responder = responder.clone();
        std::thread::spawn(move || responder.receive())
    };
    requester.close();
    assert_eq!(worker.join().unwrap(), Err(MailboxError::Closed));
    let refused = requester.request(1).unwrap_err();
    assert_eq!(
        (refused.request, refused.error),
        (Some(1), MailboxError::Closed)
    );

    let (requester, responder) = ends();
    let dispatcher = std::thread::spawn(move || requester.request(2));
    assert_eq!(responder.receive(), Ok(2));
    responder.close();
    let refused = dispatcher.join().unwrap().unwrap_err();
    assert_eq!(
        (refused.request, refused.error),
        (None, MailboxError::Closed)
    );
}

/// A requester that waits while its peer dies of `die`, which gets the responder.
fn dies(
    name: &str,
    die: impl FnOnce(&Responder<u64, u64>) + Send + 'static,
) -> (Duration, MailboxError, ExitReason) {
    let runtime = Runtime::builder().threads(2).build();
    let (requester, responder) = ends();
    let (died_at, died) = one_shot();
    let peer = Isolate::builder().runtime(&runtime).name(name).spawn(
        move |()| {
            assert_eq!(responder.receive(), Ok(1));
            died_at.send(Instant::now());
            die(&responder);
        },
        (),
    );
    let error = requester.request(1).expect_err("the peer dies");
    let delay = died.wait().expect("it says when").elapsed();
    let reason = block_on(peer.exited());
    runtime.shut_down();
    (delay, error.error, reason)
}

/// The bound is 10 ms; the machine may be busy, so that the best of some is what counts. What is
/// interpreted only has to come to its end.
fn soon(mut die: impl FnMut() -> Duration) {
    if cfg!(miri) {
        let _delay = die();
        return;
    }
    let best = (0..10).map(|_| die()).min();
    assert!(best < Some(Duration::from_millis(10)), "{best:?}");
}

#[test]
fn a_peer_that_panics_wakes_its_waiter() {
    soon(|| {
        let (delay, error, reason) = dies("panics", |_| panic!("on purpose"));
        assert_eq!(error, MailboxError::PeerDied);
        assert!(matches!(reason, ExitReason::Panicked(_)));
        delay
    });
}

#[test]
fn a_peer_that_exits_wakes_its_waiter() {
    soon(|| {
        let (delay, error, reason) = dies("exits", |_| Isolate::exit_silently());
        assert_eq!(
            (error, reason),
            (MailboxError::PeerDied, ExitReason::Exited)
        );
        delay
    });
}

#[test]
fn a_peer_that_is_killed_wakes_its_waiter() {
    soon(|| {
        let (delay, error, reason) = dies("killed", |_| {
            if let Some(this) = Isolate::current() {
                this.kill();
            }
            insula_core::checkpoint();
        });
        assert_eq!(
            (error, reason),
            (MailboxError::PeerDied, ExitReason::Killed)
        );
        delay
    });
}

#[test]
fn a_peer_that_forgets_to_respond_wakes_its_waiter() {
    soon(|| {
        let (delay, error, reason) = dies("forgets", |_| {});
        assert_eq!(
            (error, reason),
            (MailboxError::PeerDied, ExitReason::Finished)
        );
        delay
    });
}

/// No drop reaches an end that a static has; it goes with the isolate that attached it.
#[test]
fn an_attached_end_goes_with_its_isolate() {
    let (requester, responder) = ends();
    let responder = Arc::new(responder);
    let kept = responder.clone();
    let peer = Isolate::spawn(
        move |()| {
            responder.attach();
            assert_eq!(responder.receive(), Ok(1));
        },
        (),
    );
    let error = requester.request(1).unwrap_err();
    assert_eq!(error.error, MailboxError::PeerDied);
    assert_eq!(block_on(peer.exited()), ExitReason::Finished);
    drop(kept);
}

/// The thread's end is its isolate's end, for a thread outside of isolates.
#[test]
fn an_attached_end_goes_with_its_thread() {
    let (requester, responder) = ends();
    let responder = Arc::new(responder);
    let kept = responder.clone();
    let peer = std::thread::spawn(move || {
        responder.attach();
        assert_eq!(responder.receive(), Ok(1));
    });
    let error = requester.request(1).unwrap_err();
    assert_eq!(error.error, MailboxError::PeerDied);
    peer.join().unwrap();
    drop(kept);
}

/// A holder that the peer names counts like one that attached itself.
#[test]
fn an_end_that_was_said_to_be_an_isolates_goes_with_it() {
    let (requester, responder) = ends();
    let responder = Arc::new(responder);
    let kept = responder.clone();
    let (end, ends_then) = one_shot::<()>();
    let peer = Isolate::spawn(
        move |()| {
            let _ = ends_then.wait();
            drop(responder);
        },
        (),
    );
    requester.peer_is(&peer);
    let asked =
        std::thread::spawn(move || (requester.request(1).map_err(|it| it.error), requester));
    until(|| kept.state() == RendezvousState::Request);
    end.send(());
    let (error, requester) = asked.join().unwrap();
    assert_eq!(error, Err(MailboxError::PeerDied));
    drop(requester);
    // Said of an isolate that has ended, it is gone at once.
    block_on(peer.exited());
    let (requester, kept) = ends();
    requester.peer_is(&peer);
    let error = requester.request(1).unwrap_err();
    assert_eq!(error.error, MailboxError::PeerDied);
    drop(kept);
}

/// A handler's panic ends the end, also if the isolate goes on.
#[test]
fn a_broken_message_loop_is_a_dead_peer() {
    let (requester, responder) = ends();
    let worker = std::thread::spawn(move || {
        let broken = insula_core::catch_panic(|| responder.message_loop(|_, _| panic!("no")));
        assert!(broken.is_err());
        assert_eq!(responder.receive(), Err(MailboxError::IllegalState));
        responder
    });
    let error = requester.request(1).unwrap_err();
    assert_eq!(error.error, MailboxError::PeerDied);
    drop(worker.join().unwrap());
}

/// Otherwise a runtime with a waiting worker could not be shut down.
#[test]
fn a_kill_ends_a_wait() {
    let runtime = Runtime::builder().threads(1).build();
    let (requester, responder) = ends();
    let (_, never) = run_in(&runtime, "worker", move || responder.message_loop(|_, n| n));
    assert_eq!(requester.request(4), Ok(4));
    runtime.shut_down();
    assert!(never.wait().is_err());
    let error = requester.request(5).unwrap_err();
    assert_eq!(
        (error.error, error.request),
        (MailboxError::PeerDied, Some(5))
    );
}

#[test]
fn a_killed_requester_takes_its_request_back() {
    let runtime = Runtime::builder().threads(1).build();
    let (requester, responder) = ends();
    let (isolate, never) = run_in(&runtime, "dispatcher", move || requester.request(1));
    until(|| responder.state() == RendezvousState::Request);
    isolate.kill();
    assert!(never.wait().is_err());
    assert_eq!(responder.receive(), Err(MailboxError::PeerDied));
    runtime.shut_down();
}

/// A ping is answered in the middle of a wait.
#[test]
fn a_waiting_isolate_handles_control_messages() {
    let runtime = Runtime::builder().threads(1).build();
    let (requester, responder) = ends();
    let (isolate, served) = run_in(&runtime, "worker", move || responder.receive());
    assert_eq!(block_on(isolate.ping(Priority::Immediate)), Ok(()));
    let asked = run_in(&runtime, "dispatcher", move || requester.request(8)).1;
    assert_eq!(served.wait(), Ok(Ok(8)));
    assert_eq!(
        asked.wait().unwrap().map_err(|it| it.error),
        Err(MailboxError::PeerDied)
    );
    runtime.shut_down();
}

/// Many workers wait at once on a pool of one thread, and another isolate still runs.
#[test]
fn waiting_isolates_give_their_places_away() {
    let runtime = Runtime::builder().threads(1).build();
    let pairs: Vec<_> = (0..20).map(|_| ends()).collect();
    let (requesters, responders): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let serve = |responder: Responder<u64, u64>| responder.message_loop(|_, n| n);
    let served: Vec<_> = responders
        .into_iter()
        .map(|responder| run_in(&runtime, "worker", move || serve(responder)).1)
        .collect();
    let (_, all) = run_in(&runtime, "dispatcher", move || {
        requesters
            .iter()
            .map(|requester| requester.request(1).unwrap())
            .sum::<u64>()
    });
    assert_eq!(all.wait(), Ok(20));
    for worker in served {
        assert_eq!(worker.wait(), Ok(Err(MailboxError::PeerDied)));
    }
    runtime.shut_down();
}

#[test]
fn a_seeded_runtime_refuses_to_wait() {
    let runtime = Runtime::builder().seeded(1).build();
    let (requester, responder) = ends();
    let error = runtime.block_on(async move {
        let asked = Isolate::run(move || requester.request(1)).await;
        drop(responder);
        asked
    });
    let error = error.unwrap().unwrap_err();
    assert_eq!(
        (error.request, error.error),
        (Some(1), MailboxError::Wait(WaitError::Seeded))
    );
    // So does the thread that drives it.
    let (_requester, responder) = ends();
    let received = runtime.block_on(async move { responder.receive() });
    assert_eq!(received, Err(MailboxError::Wait(WaitError::Seeded)));
    runtime.shut_down();
}

/// Risk: a loop that waits for a request sleeps over the stop.
#[test]
fn a_stop_ends_a_loop_that_waits_and_one_that_comes_later() {
    let (requester, responder) = ends();
    let responder = Arc::new(responder);
    for _ in 0..100 {
        let looping = responder.clone();
        let worker = thread::spawn(move || looping.message_loop(|_, n| n));
        assert_eq!(requester.request(7).unwrap(), 7);
        responder.stop();
        assert_eq!(worker.join().unwrap(), Ok(()));
    }
    responder.stop();
    assert_eq!(responder.message_loop(|_, n| n), Ok(()));
}
