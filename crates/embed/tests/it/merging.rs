//! Risk: tasks of merged loops are lost, run on the wrong thread, out of order, or two at once.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use insula_embed::{Flush, LoopThread, MessageLoop};

use crate::support::Stage;

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn merged_tasks_run_in_one_order_and_both_observe() {
    let stage = Stage::new();
    let (a, b) = (stage.make_loop("a"), stage.make_loop("b"));
    let (to_a, to_b) = (a.task_runner(), b.task_runner());
    a.add_observer(stage.write("A"));
    b.add_observer(stage.write("B"));
    to_b.post(stage.write("b1"));
    to_a.post(stage.write("a1"));
    assert!(to_a.merge(&to_b));
    to_b.post_delayed(millis(2), stage.write("b3"));
    to_a.post_delayed(millis(1), stage.write("a2"));
    to_b.post(stage.write("b2"));
    assert_eq!(b.flush_tasks(Flush::All).tasks, 0);
    assert_eq!(b.next_due(), None);
    a.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "b1 A B a1 A B b2 A B");
    stage.advance(2);
    a.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "a2 A B b3 A B");
}

#[test]
fn after_an_unmerge_everybody_runs_his_own() {
    let stage = Stage::new();
    let (a, b) = (stage.make_loop("a"), stage.make_loop("b"));
    let (to_a, to_b) = (a.task_runner(), b.task_runner());
    assert!(to_a.merge(&to_b));
    to_b.post(stage.write("b"));
    to_b.post_delayed(millis(1), stage.write("later"));
    to_a.post(stage.write("a"));
    assert!(to_a.unmerge(&to_b));
    assert!(!to_a.unmerge(&to_b));
    a.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "a");
    b.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "b");
    stage.advance(1);
    assert_eq!(a.flush_tasks(Flush::All).tasks, 0);
    b.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "later");
}

#[test]
fn who_may_be_merged() {
    let stage = Stage::new();
    let loops: Vec<_> = ["a", "b", "c", "d"].map(|it| stage.make_loop(it)).into();
    let [a, b, c, d] = [0, 1, 2, 3].map(|it| loops[it].task_runner());
    assert!(a.merge(&a), "a loop runs its own tasks already");
    assert!(!a.unmerge(&a));
    assert!(a.merge(&b));
    assert!(a.merge(&b), "it is so already");
    assert!(!c.merge(&b), "b is owned by another one");
    assert!(!c.merge(&a), "a owns a loop");
    assert!(!b.merge(&c), "b is owned, so it owns nothing");
    assert!(a.merge(&c), "a loop may own several");
    assert!(!b.unmerge(&a) && !d.unmerge(&b));
    assert!(a.unmerge(&b) && a.unmerge(&c));
    assert!(b.merge(&a), "nothing is left of the old relations");
    assert!(b.unmerge(&a));
    d.terminate();
    assert!(!a.merge(&d) && !d.merge(&a));
}

#[test]
fn merged_tasks_run_on_the_owners_thread() {
    let thread = LoopThread::start("subsumed").unwrap();
    let owner = MessageLoop::new("owner");
    let (to_owner, to_subsumed) = (owner.task_runner(), thread.task_runner());
    assert!(!to_subsumed.runs_tasks_on_current_thread());
    assert!(to_owner.merge(&to_subsumed));
    assert!(to_subsumed.runs_tasks_on_current_thread());
    let here = thread::current().id();
    let ender = to_owner.clone();
    to_subsumed.post(move || {
        assert_eq!(thread::current().id(), here);
        ender.terminate();
    });
    owner.run();
    // The owner's end has set it free.
    assert!(!to_subsumed.runs_tasks_on_current_thread());
    let (send, receive) = mpsc::channel();
    to_subsumed.post(move || send.send(thread::current().id()).unwrap());
    assert_ne!(receive.recv(), Ok(here));
}

/// A merge comes while the old thread is inside of a task.
#[test]
fn the_owner_waits_for_the_task_that_still_runs() {
    let thread = LoopThread::start("subsumed").unwrap();
    let owner = MessageLoop::new("owner");
    let (to_owner, to_subsumed) = (owner.task_runner(), thread.task_runner());
    let (begun, has_begun) = mpsc::channel();
    let (finish, may_finish) = mpsc::channel::<()>();
    to_subsumed.post(move || {
        begun.send(()).unwrap();
        may_finish.recv().unwrap();
    });
    has_begun.recv().unwrap();
    assert!(to_owner.merge(&to_subsumed));
    let ender = to_owner.clone();
    to_subsumed.post(move || ender.terminate());
    assert_eq!(owner.flush_tasks(Flush::All).tasks, 0);
    assert_eq!(owner.next_due(), None);
    finish.send(()).unwrap();
    // Woken by the end of that task.
    owner.run();
}

#[test]
fn an_owners_end_runs_what_is_due_and_sets_the_others_free() {
    let stage = Stage::new();
    let (a, b) = (stage.make_loop("a"), stage.make_loop("b"));
    let (to_a, to_b) = (a.task_runner(), b.task_runner());
    assert!(to_a.merge(&to_b));
    to_b.post(stage.write("due"));
    to_b.post_delayed(millis(1), stage.write("later"));
    to_a.terminate();
    assert!(a.flush_tasks(Flush::All).is_over);
    assert_eq!(stage.read(), "due");
    stage.advance(1);
    assert!(!b.flush_tasks(Flush::All).is_over);
    assert_eq!(stage.read(), "later");
}

#[test]
fn a_merged_loop_ends_by_itself() {
    let stage = Stage::new();
    let (a, b) = (stage.make_loop("a"), stage.make_loop("b"));
    let (to_a, to_b) = (a.task_runner(), b.task_runner());
    assert!(to_a.merge(&to_b));
    to_b.post(stage.write("due"));
    let later = stage.write_when_dropped("dropped");
    to_b.post_delayed(millis(1), move || drop(later));
    to_b.terminate();
    assert_eq!(a.flush_tasks(Flush::All).tasks, 0);
    assert!(b.flush_tasks(Flush::All).is_over);
    assert_eq!(stage.read(), "due dropped");
    assert!(!to_a.unmerge(&to_b));
}
