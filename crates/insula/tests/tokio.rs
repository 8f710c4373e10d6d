//! Risk: a library that needs tokio does not find it in an isolate, or its wake-ups get lost on
//! the way there.

use std::time::Duration;

use insula::control::ExitReason;
use insula::{Isolate, Runtime, block_on};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn with_both(test: impl FnOnce(&Runtime)) {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime of tokio");
    let runtime = insula::tokio::builder(tokio.handle().clone())
        .threads(2)
        .build();
    test(&runtime);
    runtime.shut_down();
}

/// Two isolates talk through tokio's sockets, pooled and pinned; nothing else keeps them alive.
#[test]
fn tokio_sockets_work_in_isolates() {
    with_both(|runtime| {
        let (tell, address) = std::sync::mpsc::channel();
        let server = Isolate::builder().runtime(runtime).spawn(
            async move |()| {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                stream
                    .write_all(text.to_uppercase().as_bytes())
                    .await
                    .unwrap();
            },
            (),
        );
        let address = address.recv().unwrap();
        let client = Isolate::builder().runtime(runtime).spawn_pinned(
            async move |_, ()| {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"from an isolate").await.unwrap();
                stream.shutdown().await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert_eq!(answer, "FROM AN ISOLATE");
            },
            (),
        );
        assert_eq!(block_on(client.unwrap().exited()), ExitReason::Finished);
        assert_eq!(block_on(server.exited()), ExitReason::Finished);
    });
}

/// tokio's timers, and its threads for what blocks.
#[test]
fn tokio_timers_and_blocking_threads_serve_isolates() {
    with_both(|runtime| {
        let answer = runtime.block_on(async {
            Isolate::run_async(async || {
                let slow = tokio::time::sleep(Duration::from_secs(3600));
                assert!(
                    tokio::time::timeout(Duration::from_millis(5), slow)
                        .await
                        .is_err()
                );
                tokio::task::spawn_blocking(|| 6 * 7).await.unwrap()
            })
            .await
        });
        assert_eq!(answer, Ok(42));
    });
}

/// An isolate that waits for tokio can be killed, and what it holds is dropped where tokio is.
#[test]
fn an_isolate_that_waits_for_tokio_can_be_killed() {
    with_both(|runtime| {
        let (tell, waiting) = std::sync::mpsc::channel();
        let isolate = Isolate::builder().runtime(runtime).spawn(
            async move |()| {
                let sleep = tokio::time::sleep(Duration::from_secs(3600));
                tell.send(()).unwrap();
                sleep.await;
            },
            (),
        );
        waiting.recv().unwrap();
        isolate.kill();
        assert_eq!(block_on(isolate.exited()), ExitReason::Killed);
    });
}
