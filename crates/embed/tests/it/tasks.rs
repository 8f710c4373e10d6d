//! Risk: tasks run early, out of order, on the wrong thread, or without their observers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use insula_core::{Runtime, one_shot};
use insula_embed::{Flush, LoopThread, MessageLoop, TaskRunners};

use crate::support::Stage;

#[test]
fn tasks_run_by_time_and_in_the_order_of_posting() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let runner = it.task_runner();
    runner.post_delayed(Duration::from_millis(2), stage.write("late"));
    runner.post_delayed(Duration::from_millis(1), stage.write("first"));
    runner.post_delayed(Duration::from_millis(1), stage.write("second"));
    runner.post(stage.write("now"));
    assert_eq!(it.flush_tasks(Flush::All).tasks, 1);
    assert_eq!(stage.read(), "now");
    stage.advance(1);
    let flushed = it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "first second");
    assert_eq!(
        flushed.next_due,
        Some(stage.runtime.now() + Duration::from_millis(1))
    );
    stage.advance(1);
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "late");
    assert_eq!(it.next_due(), None);
}

#[test]
fn a_time_in_the_past_goes_before_what_is_due_now() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let past = stage.runtime.now();
    stage.advance(5);
    it.task_runner().post(stage.write("now"));
    it.task_runner().post_at(past, stage.write("past"));
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "past now");
}

#[test]
fn one_task_at_a_time_if_one_is_asked_for() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    it.task_runner().post(stage.write("a"));
    it.task_runner().post(stage.write("b"));
    assert_eq!(it.flush_tasks(Flush::Single).tasks, 1);
    assert_eq!(stage.read(), "a");
    assert_eq!(it.flush_tasks(Flush::Single).tasks, 1);
    assert_eq!(it.flush_tasks(Flush::Single).tasks, 0);
    assert_eq!(stage.read(), "b");
}

#[test]
fn tasks_that_post_tasks_do_not_make_a_flush_endless() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let runner = it.task_runner();
    let again = stage.write("again");
    it.task_runner().post(move || {
        runner.post(again);
    });
    let flushed = it.flush_tasks(Flush::All);
    assert_eq!((flushed.tasks, stage.read().as_str()), (1, ""));
    assert_eq!(flushed.next_due, Some(stage.runtime.now()));
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "again");
}

#[test]
fn observers_run_after_each_task() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let first = it.add_observer(stage.write("1"));
    it.add_observer(stage.write("2"));
    it.task_runner().post(stage.write("a"));
    it.task_runner().post(stage.write("b"));
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "a 1 2 b 1 2");
    assert!(it.remove_observer(first));
    assert!(!it.remove_observer(first));
    it.task_runner().post(stage.write("c"));
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "c 2");
}

#[test]
fn a_task_may_flush_from_inside() {
    let stage = Stage::new();
    let it = std::rc::Rc::new(stage.make_loop("it"));
    let inner = stage.write("inner");
    thread_local! {
        static LOOP: std::cell::RefCell<Option<std::rc::Rc<MessageLoop>>> =
            const { std::cell::RefCell::new(None) };
    }
    LOOP.set(Some(it.clone()));
    it.task_runner().post(|| {
        let it = LOOP.with_borrow(Clone::clone).unwrap();
        it.flush_tasks(Flush::All);
    });
    it.task_runner().post(inner);
    it.add_observer(stage.write("o"));
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "inner o o");
    LOOP.set(None);
}

#[test]
fn a_panic_leaves_the_loop_usable() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    it.task_runner()
        .post(|| std::panic::panic_any("a task's own"));
    it.task_runner().post(stage.write("next"));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        it.flush_tasks(Flush::All);
    }));
    assert!(outcome.is_err());
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "next");
}

#[test]
fn run_now_runs_here_on_the_loops_thread_and_posts_elsewhere() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let runner = it.task_runner();
    assert!(runner.runs_tasks_on_current_thread());
    runner.post(stage.write("waiting"));
    runner.run_now_or_post(stage.write("now"));
    assert_eq!(stage.read(), "now");
    let elsewhere = stage.write("elsewhere");
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(!runner.runs_tasks_on_current_thread());
            runner.run_now_or_post(elsewhere);
        });
    });
    assert_eq!(stage.read(), "");
    it.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "waiting elsewhere");
}

/// Only a task that changes the next due time needs a wake-up.
#[test]
fn the_driver_is_woken_for_an_earlier_task_only() {
    let runtime = Runtime::builder().seeded(1).build();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let it = MessageLoop::in_foreign_loop("it", &runtime, move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let runner = it.task_runner();
    runner.post_delayed(Duration::from_millis(2), || {});
    runner.post_delayed(Duration::from_millis(3), || {});
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    runner.post(|| {});
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// No isolate has a part in it, so it is no wait that a seeded runtime refuses.
#[test]
fn a_loops_thread_starts_where_a_seeded_runtime_is_entered() {
    let runtime = Runtime::builder().seeded(1).build();
    let entered = runtime.enter();
    let thread = LoopThread::start("loop").unwrap();
    drop(entered);
    let (send, receive) = one_shot();
    assert!(thread.task_runner().post(move || send.send(1)));
    assert_eq!(receive.wait(), Ok(1));
}

#[test]
fn a_thread_runs_what_is_posted_and_never_early() {
    let thread = LoopThread::start("loop").unwrap();
    let runner = thread.task_runner();
    let (send, receive) = one_shot();
    let due = runner.now() + Duration::from_millis(3);
    let clock = runner.clone();
    assert!(runner.post_at(due, move || {
        send.send((clock.now(), thread::current().name().map(str::to_owned)));
    }));
    let (time, name) = insula_core::block_on(receive).unwrap();
    assert!(time >= due);
    assert_eq!(name.as_deref(), Some("loop"));
}

#[test]
fn four_runners_may_be_one() {
    let it = MessageLoop::new("main");
    let runners = TaskRunners::single("app", &it.task_runner());
    assert!(runners.ui.runs_tasks_on_current_thread());
    assert_eq!((&*runners.label, runners.raster.label()), ("app", "main"));
}

#[test]
fn a_loop_takes_any_name_and_any_delay() {
    let long = "x".repeat(1 << 20);
    for label in ["", "\0", "a\0b", &long] {
        let thread = LoopThread::start(label).expect("a thread can be started");
        let runner = thread.task_runner();
        assert_eq!(runner.label(), label);
        for delay in [Duration::from_secs(u64::MAX), Duration::MAX] {
            assert!(runner.post_delayed(delay, || ()));
        }
        let (done, answer) = one_shot();
        assert!(runner.post_delayed(Duration::ZERO, move || done.send(1)));
        assert_eq!(answer.wait(), Ok(1));
    }
}
