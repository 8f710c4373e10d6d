//! More isolates that block than the pool may have threads.

use insula_core::{ExitReason, Isolate, RunError, Runtime, WaitError, block_on};

use super::{LONG, end_of, shut_down};

/// Computations inside of each other, each of which waits for the next.
fn nested(depth: u32) -> Result<u32, RunError> {
    if depth == 0 {
        return Ok(0);
    }
    Isolate::run(move || nested(depth - 1))
        .wait()?
        .map(|it| it + 1)
}

fn run_nested(runtime: &Runtime, depth: u32) -> Result<u32, RunError> {
    let (answer, result) = insula_core::one_shot();
    Isolate::builder()
        .runtime(runtime)
        .spawn(move |()| answer.send(nested(depth)), ());
    let (sender, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(result.wait()));
    let result = received.recv_timeout(LONG).expect("it hangs");
    result.expect("it is told")
}

#[test]
fn a_wait_that_takes_the_last_thread_is_refused_and_names_the_setting() {
    let runtime = Runtime::builder().threads(1).spare_threads(3).build();
    let error = run_nested(&runtime, 20).expect_err("there are four threads");
    assert_eq!(error, RunError::Wait(WaitError::NoThreads));
    assert!(error.to_string().contains("spare_threads"), "{error}");
    assert_eq!(run_nested(&runtime, 3), Ok(3));
    shut_down(&runtime);
}

#[test]
fn three_hundred_nested_waits_on_one_thread_do_not_hang() {
    let runtime = Runtime::builder().threads(1).build();
    let error = run_nested(&runtime, 300).expect_err("there are 257 threads");
    assert_eq!(error, RunError::Wait(WaitError::NoThreads));
    shut_down(&runtime);
}

/// `block_on` has no error.
#[test]
fn block_on_panics_where_a_wait_is_refused_for_want_of_threads() {
    let runtime = Runtime::builder().threads(1).spare_threads(0).build();
    let isolate = Isolate::builder()
        .runtime(&runtime)
        .spawn(|()| drop(block_on(Isolate::run(|| ()))), ());
    match end_of(&isolate) {
        ExitReason::Panicked(report) => {
            assert!(report.message().contains("spare_threads"), "{report}");
        }
        other => panic!("{other}"),
    }
    shut_down(&runtime);
}
