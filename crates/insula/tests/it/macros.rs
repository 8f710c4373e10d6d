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

/// The expansion of a test that fails at a later poll, and of a `main` whose body panics at once.
mod failing {
    #[insula::main(threads = 1)]
    pub(super) async fn main() {
        panic!("main has failed");
    }

    pub(super) fn test() {
        insula::__rt::run_test(Some(1), || async {
            insula::yield_now().await;
            panic!("a test has failed");
        });
    }
}

#[test]
fn a_panic_of_the_body_is_reported_once_with_its_place() {
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = told.clone();
    insula::control::set_error_hook(move |error| hook.lock().unwrap().push(error.to_string()));
    for (body, name, message) in [
        (failing::main as fn(), "main", "main has failed"),
        (failing::test, "test", "a test has failed"),
    ] {
        let payload = std::panic::catch_unwind(body).expect_err("it panics");
        let text = payload.downcast::<String>().expect("it is a text");
        assert!(
            text.contains("macros.rs") && text.ends_with(message),
            "{text}"
        );
        let told = told.lock().unwrap();
        let mut told = told.iter().filter(|error| error.ends_with(message));
        let error = told.next().expect("it is reported");
        assert!(
            error.starts_with(&format!("isolate '{name}' panicked at ")),
            "{error}"
        );
        assert_eq!(told.next(), None);
    }
}

/// It ends before the report of the panic, which unwinds the body.
#[cfg(feature = "inspect")]
#[test]
fn a_panic_of_main_leaves_a_dump_of_an_inspector_that_main_owns() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dump = folder.join(format!("owner-{}-1.json", std::process::id()));
    let result = std::panic::catch_unwind(|| {
        insula::__rt::run_main(Some(1), || async {
            let inspector = insula::inspect::Inspector::builder().name("owner");
            let inspector = inspector
                .announce(false)
                .dump_on_error(env!("CARGO_TARGET_TMPDIR"));
            let _inspector = inspector.start().expect("a port is free");
            insula::yield_now().await;
            panic!("the owner has failed");
        })
    });
    assert!(result.is_err());
    let text = std::fs::read_to_string(&dump).expect("it was written");
    std::fs::remove_file(&dump).expect("it is there");
    assert!(text.contains("the owner has failed"), "{text}");
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
