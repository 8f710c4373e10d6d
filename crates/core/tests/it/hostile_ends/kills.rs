//! A kill that is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use insula_core::{
    ExitReason, Isolate, IsolateGroup, Mailbox, Runtime, block_on, catch_panic, checkpoint,
    one_shot, sleep, try_checkpoint, yield_now,
};

use super::{LONG, end_of, shut_down, until};

/// Runs `wait` in an isolate until it was unwound `times` times, each time caught.
fn expect_to_be_ended(times: usize, wait: impl Fn() + Send + 'static) {
    let runtime = Runtime::builder().threads(2).build();
    let (begun, begins) = one_shot();
    let caught = Arc::new(AtomicUsize::new(0));
    let counted = caught.clone();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            begun.send(());
            for _ in 0..times {
                if catch_unwind(AssertUnwindSafe(&wait)).is_err() {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            }
        },
        (),
    );
    assert_eq!(begins.wait(), Ok(()));
    isolate.kill();
    assert_eq!(end_of(&isolate), ExitReason::Killed);
    assert_eq!(caught.load(Ordering::SeqCst), times);
    shut_down(&runtime);
}

#[test]
fn a_kill_that_is_caught_in_a_wait_ends_the_next_wait_too() {
    let mailbox = Mailbox::<u8>::new();
    let _peer = mailbox.clone();
    expect_to_be_ended(3, move || drop(mailbox.take()));
}

#[test]
fn a_kill_that_is_caught_in_a_checkpoint_ends_the_next_checkpoint_too() {
    expect_to_be_ended(3, || {
        loop {
            checkpoint();
            std::hint::spin_loop();
        }
    });
}

#[test]
fn a_kill_that_is_caught_under_block_on_ends_the_next_one_too() {
    expect_to_be_ended(3, || block_on(std::future::pending()));
}

/// A future that never lets its thread sleep.
#[test]
fn a_kill_ends_block_on_of_a_future_that_is_always_woken() {
    expect_to_be_ended(2, || {
        block_on(async {
            loop {
                yield_now().await;
            }
        });
    });
}

#[test]
fn a_kill_ends_code_that_has_left_its_isolate() {
    expect_to_be_ended(2, || {
        block_on(async {
            loop {
                checkpoint();
                std::hint::spin_loop();
            }
        });
    });
    let mailbox = Mailbox::<u8>::new();
    let _peer = mailbox.clone();
    expect_to_be_ended(2, move || block_on(async { drop(mailbox.take()) }));
    expect_to_be_ended(2, || block_on(async { block_on(std::future::pending()) }));
}

#[test]
fn a_kill_passes_through_catch_panic() {
    expect_to_be_ended(2, || {
        let _ = catch_panic(|| block_on(std::future::pending::<()>()));
        unreachable!("a kill is no panic");
    });
}

/// For loops that cannot be unwound, as those of C.
#[test]
fn try_checkpoint_says_at_each_call_that_the_isolate_is_to_end() {
    let runtime = Runtime::builder().threads(2).build();
    let (answer, result) = one_shot();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            assert_eq!(try_checkpoint(), Ok(()));
            Isolate::current().expect("this is one").kill();
            let ends = (0..100).filter(|_| try_checkpoint().is_err()).count();
            answer.send(ends);
        },
        (),
    );
    assert_eq!(result.wait(), Ok(100));
    assert_eq!(end_of(&isolate), ExitReason::Killed);
    assert_eq!(try_checkpoint(), Ok(()));
    shut_down(&runtime);
}

/// The catching code is polled no more, but other tasks of the isolate are not either.
#[test]
fn a_kill_that_a_task_catches_ends_its_isolate() {
    let runtime = Runtime::builder().threads(2).build();
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = polls.clone();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        async move |()| {
            while counted.fetch_add(1, Ordering::SeqCst) < usize::MAX {
                let _ = catch_unwind(checkpoint);
                yield_now().await;
            }
        },
        (),
    );
    until("it runs", || polls.load(Ordering::SeqCst) > 3);
    isolate.kill();
    assert_eq!(end_of(&isolate), ExitReason::Killed);
    shut_down(&runtime);
}

/// A shutdown is a kill.
#[test]
fn a_shutdown_that_is_caught_stays_in_force() {
    let runtime = Runtime::builder().threads(2).build();
    let (begun, begins) = one_shot();
    Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            begun.send(());
            for _ in 0..3 {
                let _ = catch_unwind(|| block_on(sleep(LONG * 1000)));
            }
        },
        (),
    );
    assert_eq!(begins.wait(), Ok(()));
    shut_down(&runtime);
}

/// An isolate that is found in its group before the runtime has counted it would be counted out
/// first, and the runtime would wait for another one without end.
#[test]
fn a_group_may_be_killed_while_isolates_join_it() {
    const TIMES: usize = if cfg!(miri) { 20 } else { 3000 };
    let runtime = Runtime::builder().threads(2).build();
    let group = IsolateGroup::new("doomed");
    let is_over = Arc::new(AtomicBool::new(false));
    let killers: Vec<_> = (0..2)
        .map(|_| {
            let (group, is_over) = (group.clone(), is_over.clone());
            std::thread::spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    group.kill_all();
                }
            })
        })
        .collect();
    for n in 0..TIMES {
        let builder = Isolate::builder().runtime(&runtime).group(&group);
        if n % 20 == 0 {
            let spawned =
                builder.spawn_pinned(async |_, ()| std::future::pending::<()>().await, ());
            drop(spawned.expect("there are threads"));
        } else {
            builder.spawn(async |()| std::future::pending::<()>().await, ());
        }
    }
    // The last ones are killed by the shutdown, or by the others before it.
    shut_down(&runtime);
    is_over.store(true, Ordering::SeqCst);
    for killer in killers {
        killer.join().expect("it only kills");
    }
    assert_eq!(group.isolates().len(), 0);
    assert_eq!(runtime.isolate_count(), 0);
}
