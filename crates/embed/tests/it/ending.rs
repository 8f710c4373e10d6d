//! Risk: at the end of a loop tasks are lost that were due, run that were not, or leak.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use insula_embed::{Flush, LoopThread, MessageLoop};

use crate::support::Stage;

#[test]
fn due_tasks_run_one_last_time_and_the_rest_is_dropped() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let runner = it.task_runner();
    let later = stage.write_when_dropped("dropped");
    runner.post(stage.write("due"));
    runner.post_delayed(Duration::from_millis(1), move || drop(later));
    runner.terminate();
    assert_eq!(stage.read(), "");
    let flushed = it.flush_tasks(Flush::Single);
    assert!(flushed.is_over);
    assert_eq!((flushed.tasks, flushed.next_due), (1, None));
    assert_eq!(stage.read(), "due dropped");
}

#[test]
fn a_task_that_comes_too_late_is_dropped_at_once() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let runner = it.task_runner();
    runner.terminate();
    let held = stage.write_when_dropped("dropped");
    assert!(!runner.post(move || drop(held)));
    assert_eq!(stage.read(), "dropped");
    drop(it);
    assert!(!runner.post(stage.write("ran")));
    assert_eq!(stage.read(), "");
}

#[test]
fn an_observer_that_comes_too_late_is_dropped_at_once() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    it.task_runner().terminate();
    assert!(it.flush_tasks(Flush::All).is_over);
    let held = stage.write_when_dropped("dropped");
    let observer = it.add_observer(move || _ = &held);
    assert_eq!(stage.read(), "dropped");
    assert!(!it.remove_observer(observer));
}

/// A task that is posted during the last run comes too late too.
#[test]
fn a_loop_may_end_itself() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let runner = it.task_runner();
    let late = stage.write("late");
    it.task_runner().post({
        let runner = runner.clone();
        move || {
            runner.terminate();
            assert!(!runner.post(late));
        }
    });
    runner.post(stage.write("due"));
    assert!(it.flush_tasks(Flush::All).is_over);
    assert_eq!(stage.read(), "due");
}

#[test]
fn dropping_a_loop_ends_it() {
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let later = stage.write_when_dropped("dropped");
    it.task_runner().post(stage.write("due"));
    it.task_runner()
        .post_delayed(Duration::from_millis(1), move || drop(later));
    drop(it);
    assert_eq!(stage.read(), "due dropped");
}

#[test]
fn the_rest_is_dropped_on_the_loops_thread() {
    struct Tell(mpsc::Sender<thread::ThreadId>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }
    let (send, receive) = mpsc::channel();
    let thread = LoopThread::start("loop").unwrap();
    let runner = thread.task_runner();
    let (tell_id, id) = mpsc::channel();
    runner.post(move || tell_id.send(thread::current().id()).unwrap());
    let tell = Tell(send);
    runner.post_delayed(Duration::from_secs(3600), move || drop(tell));
    let id = id.recv().unwrap();
    drop(thread);
    assert_eq!(receive.recv(), Ok(id));
}

#[test]
fn a_loop_of_its_own_runs_until_it_is_terminated() {
    let it = MessageLoop::new("it");
    let runner = it.task_runner();
    thread::scope(|scope| {
        scope.spawn(move || {
            let ender = runner.clone();
            runner.post_delayed(Duration::from_millis(1), move || ender.terminate());
        });
        it.run();
    });
    assert!(!it.task_runner().post(|| {}));
}

/// Its panic is neither one of the poster nor one of what runs when a loop ends.
#[test]
fn a_wake_function_that_panics_harms_no_poster() {
    let stage = Stage::new();
    let woken = || panic!("a callback's panic");
    let it = MessageLoop::in_foreign_loop("it", &stage.runtime, woken);
    let runner = it.task_runner();
    let write = stage.write("ran");
    let posted = thread::spawn(move || runner.post(write)).join();
    assert!(matches!(posted, Ok(true)));
    assert_eq!(it.flush_tasks(Flush::All).tasks, 1);
    assert_eq!(stage.read(), "ran");
    it.task_runner().terminate();
}

/// Each is dropped by itself.
#[test]
fn tasks_whose_destructors_panic_do_not_abort_the_end() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("a destructor's panic");
        }
    }
    let stage = Stage::new();
    let it = stage.make_loop("it");
    let runner = it.task_runner();
    for _ in 0..2 {
        let panics = Panics;
        runner.post_delayed(Duration::from_secs(1), move || drop(panics));
    }
    let dropped = stage.write_when_dropped("dropped");
    runner.post_delayed(Duration::from_secs(2), move || drop(dropped));
    drop(it);
    assert_eq!(stage.read(), "dropped");
}

/// Two panics inside of one destructor would abort the process.
#[test]
fn observers_whose_destructors_panic_are_all_dropped() {
    struct PanicsInDrop(mpsc::Sender<()>);
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
            panic!("bug in a destructor");
        }
    }
    let (sender, dropped) = mpsc::channel();
    let stage = Stage::new();
    let it = stage.make_loop("it");
    for _ in 0..2 {
        let held = PanicsInDrop(sender.clone());
        it.add_observer(move || _ = &held);
    }
    it.task_runner().terminate();
    drop(it);
    assert_eq!(dropped.try_iter().count(), 2);
}
