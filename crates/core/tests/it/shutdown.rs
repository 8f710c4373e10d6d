//! Risk: a future outside of isolates waits for ever for a runtime that has been shut down.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use insula_core::{
    AskError, Isolate, NativePort, NoReply, ReceivePort, ReplyTo, Runtime, block_on, one_shot,
    sleep, sleep_until, spawn_local,
};

use crate::watchdog::ends;

const HOUR: Duration = Duration::from_secs(3600);

fn is_ready(future: impl Future<Output = ()>) -> bool {
    pin!(future)
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// Polled before the shutdown by threads of their own, with the runtime entered or not any more.
#[test]
fn a_sleep_that_waits_is_over() {
    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let (asleep, all) = mpsc::channel();
        let threads: Vec<_> = [true, false]
            .map(|stays| {
                let (runtime, asleep) = (runtime.clone(), asleep.clone());
                std::thread::spawn(move || {
                    let mut sleeping = pin!(sleep(HOUR));
                    let entered = runtime.enter();
                    let mut cx = Context::from_waker(Waker::noop());
                    assert!(sleeping.as_mut().poll(&mut cx).is_pending());
                    let entered = stays.then_some(entered);
                    // Again, with the waker of this thread.
                    block_on(async {
                        asleep.send(()).unwrap();
                        sleeping.await;
                    });
                    drop(entered);
                })
            })
            .into();
        threads.iter().for_each(|_| all.recv().unwrap());
        runtime.shut_down();
        for thread in threads {
            assert!(thread.join().is_ok());
        }
    });
}

#[test]
fn a_sleep_that_begins_later_is_over_at_once() {
    ends(|| {
        let runtimes = [
            Runtime::builder().threads(1).build(),
            Runtime::builder().seeded(1).build(),
        ];
        for runtime in runtimes {
            assert!(!runtime.is_shut_down());
            let _entered = runtime.enter();
            let early = sleep(HOUR);
            assert!(!is_ready(sleep(HOUR)));
            runtime.shut_down();
            assert!(runtime.is_shut_down());
            assert!(is_ready(early));
            assert!(is_ready(sleep(HOUR)));
            assert!(is_ready(sleep_until(runtime.now() + HOUR)));
            runtime.block_on(sleep(HOUR));
        }
    });
}

/// Whichever of the two sees the other.
#[test]
fn a_sleep_that_begins_during_the_shutdown_is_over() {
    for _ in 0..200 {
        ends(|| {
            let runtime = Runtime::builder().threads(1).build();
            let sleeper = std::thread::spawn({
                let runtime = runtime.clone();
                move || runtime.block_on(sleep(HOUR))
            });
            runtime.shut_down();
            assert!(sleeper.join().is_ok());
        });
    }
}

/// Also one that an isolate had made and that was carried out of it.
#[test]
fn a_sleep_that_left_its_isolate_is_over() {
    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let _entered = runtime.enter();
        let sleeping = Isolate::run(|| sleep(HOUR)).wait().unwrap();
        let sleeper = std::thread::spawn({
            let runtime = runtime.clone();
            move || runtime.block_on(sleeping)
        });
        runtime.shut_down();
        assert!(sleeper.join().is_ok());
    });
}

#[test]
fn every_other_wait_for_an_isolate_ends() {
    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let _entered = runtime.enter();
        let (port_to, port) = one_shot();
        let isolate = Isolate::spawn(
            move |()| {
                let port = ReceivePort::<Option<ReplyTo<u32>>>::bounded(1);
                port_to.send(port.send_port());
                spawn_local(async move {
                    let _port = port;
                    std::future::pending::<()>().await;
                });
            },
            (),
        );
        let port = port.wait().unwrap();
        let asked = port.ask(Some);
        let sending = port.send_wait(None);
        let threads = std::thread::scope(|scope| {
            let asked = scope.spawn(|| block_on(asked));
            let sending = scope.spawn(|| block_on(sending).is_err());
            let exited = scope.spawn(|| block_on(isolate.exited()));
            let ran = scope.spawn(|| {
                let _entered = runtime.enter();
                Isolate::run_async(async || sleep(HOUR).await)
                    .wait()
                    .is_err()
            });
            runtime.shut_down();
            (
                asked.join().unwrap(),
                sending.join().unwrap(),
                exited.join().is_ok(),
                ran.join().unwrap(),
            )
        });
        assert_eq!(threads, (Err(AskError::NoReply), true, true, true));
        let late = Isolate::run(|| 1).wait();
        assert!(late.is_err());
        let (answer, reply) = one_shot::<u32>();
        drop(Isolate::run(move || answer.send(1)));
        assert_eq!(reply.wait(), Err(NoReply));
    });
}

/// They belong to no runtime.
#[test]
fn native_ports_go_on() {
    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let _entered = runtime.enter();
        let port = NativePort::new("after", |(n, reply): (u32, ReplyTo<u32>)| reply.send(n), 1);
        runtime.shut_down();
        assert_eq!(block_on(port.ask(|reply| (7, reply))), Ok(7));
    });
}

#[cfg(unix)]
#[test]
fn a_wait_for_a_socket_fails_before_and_after() {
    use insula_core::{Direction, Source};
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;

    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let _entered = runtime.enter();
        let (near, _far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let source = Source::new(near.try_clone().unwrap()).unwrap();
        let read = || {
            let attempt = || (&near).read(&mut [0]);
            block_on(source.io(Direction::Read, attempt)).map_err(|error| error.kind())
        };
        std::thread::scope(|scope| {
            let early = scope.spawn(read);
            runtime.shut_down();
            assert_eq!(early.join().unwrap(), Err(ErrorKind::BrokenPipe));
        });
        assert_eq!(read(), Err(ErrorKind::BrokenPipe));
        let late = Source::new(near.try_clone().unwrap());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// The last sender's end is the isolate's, and with that the runtime may be shut down and gone,
/// while the thread that dropped the sender still wakes one of the runtime's. Miri sees it if it
/// then uses what was freed.
#[test]
fn a_runtime_may_go_while_its_last_isolate_is_still_being_woken() {
    // On threads a round takes Miri seconds.
    for round in 0..crate::MANY / 4 {
        let is_seeded = round % 2 == 1;
        let builder = Runtime::builder().threads(1);
        let builder = if is_seeded {
            builder.seeded(round)
        } else {
            builder
        };
        let runtime = builder.build();
        let port = Isolate::builder()
            .runtime(&runtime)
            .spawn_with_port(|port: ReceivePort<u8>| port.listen(drop));
        if is_seeded {
            runtime.run_until_idle();
        }
        let sender = std::thread::spawn(move || drop(port));
        while runtime.isolate_count() > 0 {
            if is_seeded {
                runtime.run_until_idle();
            }
            std::thread::yield_now();
        }
        runtime.shut_down();
        drop(runtime);
        sender.join().expect("it only drops");
    }
}
