//! Risk: `main` and `test` run their body elsewhere than in an isolate, or lose its result.

use std::time::Duration;

use insula::{Instant, Isolate, ReceivePort, sleep};

/// The expansion of a program's `main`, under a name that a test can call.
mod program {
    #[insula::main(threads = 2)]
    pub(super) async fn main() -> Result<(), String> {
        let isolate = insula::Isolate::current().expect("it runs in an isolate");
        assert_eq!(&*isolate.name(), "main");
        let answer = insula::Isolate::run(|| 6 * 7).await;
        answer
            .map_err(|error| error.to_string())
            .and_then(|answer| match answer {
                42 => Err("the body's own error".to_owned()),
                _ => Ok(()),
            })
    }
}

#[test]
fn main_gives_its_result_back() {
    assert_eq!(program::main(), Err("the body's own error".to_owned()));
}

#[insula::test]
async fn a_test_runs_in_an_isolate_on_threads() {
    let mut port = ReceivePort::new();
    let sender = port.send_port();
    Isolate::spawn(move |n| sender.send(n).unwrap(), 5);
    assert_eq!(port.recv().await, Some(5));
}

#[insula::test(seed = 7)]
async fn a_seeded_test_runs_on_virtual_time() {
    let start = Instant::now();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(Instant::now() - start, Duration::from_secs(3600));
}

/// A question that is never answered, a timer and a period: an hour in no time.
#[insula::test(start_paused)]
async fn a_paused_test_never_sleeps() {
    let start = Instant::now();
    let wall = std::time::Instant::now();
    let mut ticks = ReceivePort::new();
    let sender = ticks.send_port();
    let timer = insula::Timer::periodic(Duration::from_secs(600), move |_, tick| {
        // The port outlives the timer.
        let _ = sender.send(tick);
    });
    for _ in 0..6 {
        ticks.recv().await.expect("the timer has the sender");
    }
    timer.cancel();
    assert_eq!(Instant::now() - start, Duration::from_secs(3600));
    assert!(wall.elapsed() < Duration::from_secs(60));
}

#[insula::test]
#[should_panic(expected = "told by the test")]
async fn a_failing_test_fails() {
    panic!("told by the test");
}
