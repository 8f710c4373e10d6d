//! Risk: a waker, a callback or a destructor of foreign code panics, or calls back into the
//! library, and harms more than its own call: a thread of the runtime ends, others are not woken,
//! a lock stays held.

mod waker;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use insula_core::{
    Handled, Isolate, NativePort, ReceivePort, RootIsolate, Runtime, SendPort, Timer, block_on,
    one_shot, sleep,
};

use crate::watchdog::ends;
use waker::{Step, waker};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A waker that panics when it is woken, and counts that.
fn panicking_waker() -> (Waker, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let waker = waker(move |step| {
        if step == Step::Wake {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("a waker's panic");
        }
    });
    (waker, woken)
}

fn poll_with<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[test]
fn a_waker_that_panics_ends_no_other_timer() {
    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let _entered = runtime.enter();
        let (waker, woken) = panicking_waker();
        let mut sleeping = pin!(sleep(ms(1)));
        assert!(poll_with(sleeping.as_mut(), &waker).is_pending());
        until(|| woken.load(Ordering::SeqCst) == 1);
        block_on(sleep(ms(1)));
        runtime.shut_down();
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_its_runtime_from_shutting_down() {
    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let _entered = runtime.enter();
        let (waker, woken) = panicking_waker();
        let mut sleeping = pin!(sleep(ms(3_600_000)));
        assert!(poll_with(sleeping.as_mut(), &waker).is_pending());
        let other = std::thread::spawn({
            let runtime = runtime.clone();
            move || runtime.block_on(sleep(ms(3_600_000)))
        });
        runtime.shut_down();
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert!(other.join().is_ok());
    });
}

#[cfg(unix)]
#[test]
fn a_sockets_waker_that_panics_ends_neither_timers_nor_sockets() {
    use insula_core::{Direction, Source};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let watched = || {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let source = Source::new(near.try_clone().unwrap()).unwrap();
        (source, near, far)
    };
    ends(move || {
        let runtime = Runtime::builder().threads(1).build();
        let _entered = runtime.enter();
        let (source, near, mut far) = watched();
        let read = || (&near).read(&mut [0]);
        {
            let (waker, woken) = panicking_waker();
            let mut reading = pin!(source.io(Direction::Read, read));
            assert!(poll_with(reading.as_mut(), &waker).is_pending());
            far.write_all(&[1]).unwrap();
            until(|| woken.load(Ordering::SeqCst) == 1);
        }
        block_on(sleep(ms(1)));
        let (other, other_near, mut other_far) = watched();
        let read = || (&other_near).read(&mut [0]);
        let mut reading = pin!(other.io(Direction::Read, read));
        assert!(poll_with(reading.as_mut(), Waker::noop()).is_pending());
        let writer = std::thread::spawn(move || other_far.write_all(&[1]).map(|()| other_far));
        assert_eq!(block_on(reading).unwrap(), 1);
        assert!(writer.join().unwrap().is_ok());
        runtime.shut_down();
    });
}

/// It is called by the thread of timers and by an isolate that sends.
#[test]
fn a_roots_notify_that_panics_harms_no_sender() {
    ends(|| {
        let runtime = Runtime::builder().threads(1).build();
        let told = Arc::new(AtomicUsize::new(0));
        let count = told.clone();
        let mut root = RootIsolate::builder("root")
            .runtime(&runtime)
            .notify(move || {
                count.fetch_add(1, Ordering::SeqCst);
                panic!("a callback's panic");
            })
            .create();
        while root.handle_message() == Handled::More {}
        let before = told.load(Ordering::SeqCst);
        let port = root.enter(|_| {
            Timer::after(ms(1), || {});
            let port = ReceivePort::new();
            let sender = port.send_port();
            port.listen(|()| {});
            sender
        });
        let port: SendPort<()> = port.unwrap();
        until(|| told.load(Ordering::SeqCst) > before);
        runtime.block_on(sleep(ms(1)));
        while root.handle_message() == Handled::More {}

        let before = told.load(Ordering::SeqCst);
        let _entered = runtime.enter();
        let sent = Isolate::run(move || port.send(()).is_ok()).wait();
        assert_eq!(sent, Ok(true));
        assert!(told.load(Ordering::SeqCst) > before);
        drop(root);
        runtime.shut_down();
    });
}

#[test]
fn a_waker_that_panics_harms_neither_who_answers_nor_who_makes_room() {
    ends(|| {
        let (answer, reply) = one_shot();
        let (waker, woken) = panicking_waker();
        let mut reply = pin!(reply);
        assert!(poll_with(reply.as_mut(), &waker).is_pending());
        let answered = Isolate::run(move || answer.send(7)).wait();
        assert_eq!(answered, Ok(()));
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert_eq!(block_on(reply), Ok(7));

        // The isolate takes the message that fills its port, and wakes both waiters for room.
        let (port_to, port) = one_shot::<SendPort<u32>>();
        let (go, may_receive) = one_shot::<()>();
        let receiver = Isolate::run_async(async move || {
            let mut port = ReceivePort::bounded(1);
            port_to.send(port.send_port());
            let _ = may_receive.await;
            let mut sum = 0;
            for _ in 0..2 {
                sum += port.recv().await.unwrap_or(100);
            }
            sum
        });
        let port = port.wait().unwrap();
        port.send(1).unwrap();
        let (waker, woken) = panicking_waker();
        let mut first = Box::pin(port.send_wait(10));
        assert!(poll_with(first.as_mut(), &waker).is_pending());
        go.send(());
        until(|| woken.load(Ordering::SeqCst) == 1);
        drop(first);
        assert_eq!(block_on(port.send_wait(2)), Ok(()));
        assert_eq!(receiver.wait(), Ok(3));
    });
}

#[test]
fn surroundings_that_panic_cost_no_thread() {
    ends(|| {
        let runtime = Runtime::builder()
            .threads(1)
            .around_threads(|_| panic!("a callback's panic"))
            .build();
        let _entered = runtime.enter();
        assert_eq!(Isolate::run(|| 7).wait(), Ok(7));
        let pinned = Isolate::builder().spawn_pinned(async |_, ()| {}, ());
        block_on(pinned.unwrap().exited());
        runtime.shut_down();
    });
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a destructor's panic");
        }
    }
}

fn keep(_: &PanicsInDrop) {}

/// Whatever drops them: the last handle, a thread of the port, a thread of the runtime.
#[test]
fn the_destructor_of_a_callback_that_panics_harms_nobody() {
    ends(|| {
        let guard = PanicsInDrop;
        let port = NativePort::new("destructor", move |()| keep(&guard), 1);
        port.post(()).unwrap();
        drop(port);

        let guard = PanicsInDrop;
        let runtime = Runtime::builder()
            .threads(1)
            .around_threads(move |work| {
                keep(&guard);
                work();
            })
            .build();
        let guard = PanicsInDrop;
        let root = RootIsolate::builder("root")
            .runtime(&runtime)
            .notify(move || keep(&guard))
            .create();
        drop(root);
        runtime.shut_down();
        drop(runtime);
    });
}

/// A message whose destructor panics, in the one thread of a port, which goes on.
#[test]
fn a_native_port_survives_its_messages() {
    ends(|| {
        let (done, all) = std::sync::mpsc::channel();
        let handler = move |message: Option<PanicsInDrop>| {
            if message.is_none() {
                let _ = done.send(());
            }
        };
        let port = NativePort::new("messages", handler, 1);
        for _ in 0..3 {
            port.post(Some(PanicsInDrop)).unwrap();
        }
        port.post(None).unwrap();
        assert!(all.recv().is_ok());
    });
}

/// At each step the waker uses what it waits for, and the runtime, once more. If a lock were held
/// that would never end.
#[test]
fn a_waker_may_call_back_at_each_step() {
    ends(|| {
        let runtime = Runtime::builder().threads(2).build();
        let _entered = runtime.enter();
        let isolate = Isolate::builder().spawn(
            |()| {
                let port = ReceivePort::<u32>::bounded(1);
                insula_core::IsolateNameServer::register("foreign", &port.send_port()).unwrap();
                port.listen(|_| std::thread::sleep(ms(1)));
            },
            (),
        );
        let port = loop {
            if let Some(port) = insula_core::IsolateNameServer::look_up::<u32>("foreign") {
                break port;
            }
            std::thread::yield_now();
        };
        let steps = Arc::new(AtomicUsize::new(0));
        let waker = {
            let (isolate, port, steps) = (isolate.clone(), port.clone(), steps.clone());
            let runtime = runtime.clone();
            waker(move |_| {
                steps.fetch_add(1, Ordering::SeqCst);
                let _entered = runtime.enter();
                let mut cx = Context::from_waker(Waker::noop());
                let _ = pin!(sleep(ms(50))).poll(&mut cx);
                let _ = pin!(isolate.exited()).poll(&mut cx);
                let _ = pin!(port.send_wait(0)).poll(&mut cx);
                let _ = port.is_closed();
                let _ = isolate.name();
                let _ = insula_core::IsolateNameServer::look_up::<u32>("foreign");
                let (answer, reply) = one_shot::<u32>();
                answer.send(1);
                drop(reply);
                drop(Isolate::run(|| ()));
            })
        };
        for _ in 0..3 {
            let (answer, reply) = one_shot::<u32>();
            let ping = isolate.ping(insula_core::Priority::AsEvent);
            let mut waiting: Vec<Pin<Box<dyn Future<Output = ()>>>> = vec![
                Box::pin(sleep(ms(1))),
                Box::pin(async { _ = isolate.exited().await }),
                Box::pin(async { _ = reply.await }),
                Box::pin(async { _ = ping.await }),
            ];
            for n in 0..3 {
                let port = &port;
                waiting.push(Box::pin(async move { _ = port.send_wait(n).await }));
            }
            for _ in 0..2 {
                waiting.retain_mut(|future| poll_with(future.as_mut(), &waker).is_pending());
            }
            answer.send(1);
            // Most of them are woken meanwhile; the others are dropped.
            std::thread::sleep(ms(3));
        }
        assert!(steps.load(Ordering::SeqCst) > 20);
        let mut exited = Box::pin(isolate.exited());
        let _ = poll_with(exited.as_mut(), &waker);
        isolate.kill();
        block_on(exited);
        runtime.shut_down();
        // The waker holds the runtime, and the runtime nothing of the waker any more.
        drop(waker);
    });
}
