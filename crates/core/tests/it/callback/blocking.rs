use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use insula_core::{
    BlockingCallback, CallbackError, CallbackReply, ErrorPolicy, ExitReason, Isolate, IsolateCell,
    Runtime, WaitError, block_on, one_shot,
};

use super::{end_of, in_other_isolate, make_in_isolate};
use crate::MANY;

#[test]
fn many_threads_each_get_their_own_answer() {
    let runtime = Runtime::builder().threads(2).build();
    let (isolate, double) = make_in_isolate(&runtime, || {
        let mut calls = 0_u64;
        BlockingCallback::new(move |n: u64| {
            calls += 1;
            (2 * n, calls)
        })
    });
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let double = double.clone();
            thread::spawn(move || {
                for n in 0..MANY / 4 {
                    let n = 10_000 * thread + n;
                    assert_eq!(double.call(n).unwrap().0, 2 * n);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|it| it.join().unwrap());
    assert_eq!(double.call(0), Ok((0, MANY / 4 * 4 + 1)));
    drop(double);
    block_on(isolate.exited());
}

/// The one thread of the pool waits in one isolate and still runs the other.
#[test]
fn an_isolate_that_waits_gives_its_thread_away() {
    let runtime = Runtime::builder().threads(1).build();
    let (_isolate, next) = make_in_isolate(&runtime, || BlockingCallback::new(|n: u32| n + 1));
    assert_eq!(in_other_isolate(&runtime, move || next.call(1)), Ok(2));
}

#[test]
fn the_handler_may_answer_later_and_from_elsewhere() {
    let runtime = Runtime::builder().threads(1).build();
    let (_isolate, later) = make_in_isolate(&runtime, || {
        BlockingCallback::with_reply(|n: u32, reply: CallbackReply<u32>| {
            thread::spawn(move || reply.send(n + 1));
        })
    });
    assert_eq!(later.call(1), Ok(2));
}

#[test]
fn a_late_answer_is_dropped() {
    let runtime = Runtime::builder().threads(1).build();
    let gate = Arc::new(Barrier::new(2));
    let held = gate.clone();
    let (dropped, answer_dropped) = one_shot();
    let (_isolate, slow) = make_in_isolate(&runtime, move || {
        let mut dropped = Some(dropped);
        BlockingCallback::new(move |n: u32| {
            if n == 0 {
                held.wait();
            }
            OnDrop(dropped.take())
        })
    });
    let late = slow.call_timeout(0, Duration::from_millis(5));
    assert!(matches!(
        late,
        Err(CallbackError::Wait(WaitError::TimedOut))
    ));
    gate.wait();
    assert_eq!(answer_dropped.wait(), Ok(()));
    assert!(slow.call(1).is_ok());
}

/// Tells of its end.
struct OnDrop(Option<insula_core::ReplyTo<()>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell.send(());
        }
    }
}

/// The time of the second call is up while the first one runs: its turn never begins.
#[test]
fn a_call_that_nobody_waits_for_does_not_begin() {
    let runtime = Runtime::builder().threads(1).build();
    let gate = Arc::new(Barrier::new(2));
    let held = gate.clone();
    let (_isolate, slow) = make_in_isolate(&runtime, move || {
        let mut calls = Vec::new();
        BlockingCallback::new(move |n: u32| {
            calls.push(n);
            if n == 0 {
                held.wait();
                held.wait();
            }
            calls.clone()
        })
    });
    let first = {
        let slow = slow.clone();
        thread::spawn(move || slow.call(0))
    };
    gate.wait();
    let late = slow.call_timeout(1, Duration::from_millis(5));
    assert_eq!(late, Err(CallbackError::Wait(WaitError::TimedOut)));
    gate.wait();
    assert_eq!(first.join().unwrap(), Ok(vec![0]));
    assert_eq!(slow.call(2), Ok(vec![0, 2]));
}

/// F21: three isolates that call each other in a ring; the call that would close it is refused,
/// and names them all.
#[test]
fn a_ring_of_calls_is_a_deadlock() {
    type Call = BlockingCallback<u32, Result<u32, Vec<String>>>;
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let ring: Arc<std::sync::Mutex<Vec<Call>>> = Arc::default();
    for index in 0..3 {
        let (send, made) = one_shot();
        let others = ring.clone();
        Isolate::builder().name(format!("ring {index}")).spawn(
            move |()| {
                send.send(Call::new(move |n| {
                    let next = others.lock().unwrap()[(index + 1) % 3].clone();
                    match next.call(n) {
                        Ok(answer) => answer,
                        Err(CallbackError::Wait(WaitError::Deadlock(cycle))) => {
                            Err(cycle.names.iter().map(ToString::to_string).collect())
                        }
                        Err(other) => panic!("{other}"),
                    }
                }));
            },
            (),
        );
        let made = made.wait().unwrap();
        ring.lock().unwrap().push(made);
    }
    let first = ring.lock().unwrap()[0].clone();
    let cycle = first.call(1).unwrap().unwrap_err();
    assert_eq!(cycle, ["ring 2", "ring 0", "ring 1"]);
    ring.lock().unwrap().clear();
}

#[test]
fn a_kill_unwinds_out_of_a_call() {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let (owes, owed) = one_shot();
    let (_callee, callback) = make_in_isolate(&runtime, || {
        let (kept, mut owes) = (IsolateCell::new(None), Some(owes));
        BlockingCallback::with_reply(move |(): (), reply: CallbackReply<()>| {
            kept.with(|kept| *kept = Some(reply));
            owes.take().unwrap().send(());
        })
    });
    let caller = Isolate::spawn(move |()| drop(callback.call(())), ());
    owed.wait().unwrap();
    caller.kill();
    assert!(matches!(block_on(caller.exited()), ExitReason::Killed));
}

#[test]
fn a_call_from_the_own_isolate_is_a_deadlock() {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let own = Isolate::builder().name("narcissus").runtime(&runtime);
    let (send, answer) = one_shot();
    own.spawn(
        move |()| {
            let callback = BlockingCallback::new(|n: u32| n);
            send.send(callback.call(1));
        },
        (),
    );
    match answer.wait() {
        Ok(Err(CallbackError::Wait(WaitError::Deadlock(cycle)))) => {
            assert_eq!(cycle.names[0].as_ref(), "narcissus");
        }
        other => panic!("{other:?}"),
    }
}

/// The thread that would run the called isolate is the one that waits.
#[test]
fn a_call_inside_of_a_seeded_runtime_is_refused() {
    let runtime = Runtime::builder().seeded(1).build();
    let seen = runtime.block_on(async {
        let (send, made) = one_shot();
        Isolate::spawn(|()| send.send(BlockingCallback::new(|n: u32| n)), ());
        let callback = made.await.unwrap();
        Isolate::run(move || callback.call(1)).await
    });
    assert!(matches!(
        seen,
        Ok(Err(CallbackError::Wait(WaitError::Seeded)))
    ));
    runtime.shut_down();
}

/// The thread has entered the runtime, but is in none of its isolates.
#[test]
fn a_call_beside_a_seeded_runtime_is_refused_and_never_posted() {
    let runtime = Runtime::builder().seeded(1).build();
    let (send, made) = one_shot();
    let callback = runtime.block_on(async {
        Isolate::spawn(|()| send.send(BlockingCallback::new(drop::<Arc<()>>)), ());
        made.await.unwrap()
    });
    let entered = runtime.enter();
    let argument = Arc::new(());
    let refused = callback.call(argument.clone());
    assert_eq!(refused, Err(CallbackError::Wait(WaitError::Seeded)));
    assert_eq!(Arc::strong_count(&argument), 1);
    drop(entered);
    runtime.shut_down();
}

#[test]
fn a_panic_that_is_fatal_is_the_death_of_the_peer() {
    let runtime = Runtime::builder().threads(1).build();
    let (isolate, callback) = make_in_isolate(&runtime, || {
        BlockingCallback::new(|n: u32| assert_ne!(n, 0, "on purpose"))
    });
    assert_eq!(callback.call(0), Err(CallbackError::PeerDied));
    assert!(matches!(
        block_on(isolate.exited()),
        ExitReason::Panicked(_)
    ));
    assert_eq!(callback.call(1), Err(CallbackError::Closed(Some(1))));
}

#[test]
fn a_panic_that_is_survived_leaves_no_answer() {
    let runtime = Runtime::builder().threads(1).build();
    let (_isolate, callback) = make_in_isolate(&runtime, || {
        Isolate::current()
            .unwrap()
            .set_error_policy(ErrorPolicy::Continue);
        BlockingCallback::new(|n: u32| assert_ne!(n, 0, "on purpose"))
    });
    assert_eq!(callback.call(0), Err(CallbackError::NoReply));
    assert_eq!(callback.call(1), Ok(()));
}

#[test]
fn a_dropped_right_to_answer_ends_the_call() {
    let runtime = Runtime::builder().threads(1).build();
    let (_isolate, callback) = make_in_isolate(&runtime, || {
        BlockingCallback::with_reply(|_: u32, reply: CallbackReply<u32>| drop(reply))
    });
    assert_eq!(callback.call(0), Err(CallbackError::NoReply));
}

/// A kill meets calls that wait in the queue, and one whose answer the isolate owes.
#[test]
fn a_kill_ends_every_call_that_waits() {
    let runtime = Runtime::builder().threads(1).build();
    let (owes, owed) = one_shot();
    let (isolate, callback) = make_in_isolate(&runtime, || {
        let replies = IsolateCell::new(Vec::new());
        let mut owes = Some(owes);
        BlockingCallback::with_reply(move |_: u32, reply: CallbackReply<u32>| {
            replies.with(|replies| replies.push(reply));
            if let Some(owes) = owes.take() {
                owes.send(());
            }
        })
    });
    let callers: Vec<_> = (0..4)
        .map(|n| {
            let callback = callback.clone();
            thread::spawn(move || callback.call(n))
        })
        .collect();
    owed.wait().unwrap();
    isolate.kill();
    for caller in callers {
        // A call that came after the end was refused.
        let answer = caller.join().unwrap();
        assert!(
            matches!(
                answer,
                Err(CallbackError::PeerDied | CallbackError::Closed(Some(_)))
            ),
            "{answer:?}"
        );
    }
}

/// The runtime ends while a foreign thread waits for one of its isolates.
#[test]
fn a_shutdown_ends_every_call_that_waits() {
    let runtime = Runtime::builder().threads(1).build();
    let (owes, owed) = one_shot();
    let (_isolate, callback) = make_in_isolate(&runtime, || {
        let (kept, mut owes) = (IsolateCell::new(None), Some(owes));
        BlockingCallback::with_reply(move |(): (), reply: CallbackReply<()>| {
            kept.with(|kept| *kept = Some(reply));
            owes.take().unwrap().send(());
        })
    });
    let caller = thread::spawn(move || callback.call(()));
    owed.wait().unwrap();
    runtime.shut_down();
    assert_eq!(caller.join().unwrap(), Err(CallbackError::PeerDied));
}

/// F22: a callback that lets foreign code run, which calls back into another isolate, in a row.
#[test]
fn a_callback_may_call_the_next_one() {
    let runtime = Runtime::builder().threads(1).build();
    let (_end, mut callback) = make_in_isolate(&runtime, || BlockingCallback::new(|n: u32| n));
    for _ in 0..6 {
        let inner = callback;
        let (_, outer) = make_in_isolate(&runtime, move || {
            BlockingCallback::new(move |n: u32| {
                let inner = inner.clone();
                let foreign = thread::spawn(move || inner.call(n + 1));
                insula_core::blocking(|| foreign.join())
                    .unwrap()
                    .unwrap_or(0)
            })
        });
        callback = outer;
    }
    assert_eq!(callback.call(1), Ok(7));
}

/// F44: the last handle goes in a destructor of a thread's own storage.
#[test]
fn a_handle_may_go_with_its_thread() {
    thread_local! {
        static KEPT: std::cell::RefCell<Option<BlockingCallback<u32, u32>>> = const {
            std::cell::RefCell::new(None)
        };
    }
    let runtime = Runtime::builder().threads(1).build();
    let (isolate, callback) = make_in_isolate(&runtime, || BlockingCallback::new(|n: u32| n));
    thread::spawn(move || {
        assert_eq!(callback.call(3), Ok(3));
        KEPT.set(Some(callback));
    })
    .join()
    .unwrap();
    block_on(isolate.exited());
}

/// The values that a handler holds are dropped with the callback, and once.
#[test]
fn the_handler_goes_with_the_callback() {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let told = Isolate::run_async(async || {
        let mut port = insula_core::ReceivePort::new();
        let tell = end_of(port.send_port());
        let callback = BlockingCallback::new(move |n: u32| {
            let _ = &tell;
            n
        });
        assert!(callback.close());
        port.recv().await.is_some() && port.recv().await.is_none()
    });
    assert_eq!(told.wait(), Ok(true));
}
