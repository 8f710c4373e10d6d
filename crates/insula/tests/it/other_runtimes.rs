//! Risk: sending, asking or awaiting works only on the project's own threads.

use std::time::Duration;

use insula::{Isolate, ReceivePort, ReplyTo, Runtime, sleep};

struct Double(u64, ReplyTo<u64>);

#[test]
fn a_tokio_program_asks_and_awaits() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let doubler = Isolate::spawn_with_port(|port: ReceivePort<Double>| {
        port.listen(|Double(n, reply)| reply.send(2 * n))
    });
    let sum = tokio.block_on(async move {
        let mut tasks = Vec::new();
        for n in 0..100 {
            let doubler = doubler.clone();
            tasks.push(tokio::spawn(async move {
                sleep(Duration::from_millis(1)).await;
                doubler.ask(|reply| Double(n, reply)).await.unwrap()
            }));
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum + Isolate::run(|| 1).await.unwrap()
    });
    assert_eq!(sum, 9901);
}

#[test]
fn an_isolate_awaits_what_a_tokio_task_brings() {
    let runtime = Runtime::builder().threads(1).build();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        async move |()| assert_eq!(receiver.await, Ok("from outside")),
        (),
    );
    tokio.block_on(async {
        tokio::task::yield_now().await;
        sender.send("from outside").unwrap();
        assert_eq!(
            isolate.exited().await,
            insula::control::ExitReason::Finished
        );
    });
    runtime.shut_down();
}

#[test]
fn a_plain_thread_needs_no_runtime_of_its_own() {
    let echo = Isolate::spawn_with_port(|port: ReceivePort<Double>| {
        port.listen(|Double(n, reply)| reply.send(n))
    });
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let echo = echo.clone();
            std::thread::spawn(move || insula::block_on(echo.ask(|reply| Double(n, reply))))
        })
        .collect();
    for (n, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap(), Ok(n as u64));
    }
}
