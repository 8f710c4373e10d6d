//! Risk: the library is used by the destructor of a thread-local value, when the thread's other
//! thread-local values, those of the library among them, are gone. A panic there aborts.
//!
//! Of the destructors of a thread, the one that was registered last runs first. So each program
//! runs with a destructor that was registered before all of the library's, and with one that was
//! registered after them.

use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use insula_core::{
    BlockingCallback, ConditionVariable, Entered, GroupBoundCallback, Handled, Isolate,
    IsolateGroup, IsolateNameServer, ListenerCallback, Mailbox, Mutex, NativePort, Priority,
    RawMutex, ReceivePort, ReplyTo, RootIsolate, Runtime, SendPort, Sleep, Source, block_on,
    catch_panic, checkpoint, one_shot, rendezvous, set_error_hook, sleep, yield_now,
};

use crate::child::in_child;

const MS: Duration = Duration::from_millis(1);

struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(function) = self.0.take() {
            function();
        }
    }
}

thread_local! {
    static AT_END: Cell<AtEnd> = const { Cell::new(AtEnd(None)) };
}

fn at_end(function: impl FnOnce() + 'static) {
    AT_END.set(AtEnd(Some(Box::new(function))));
}

/// Makes a thread have everything that the library keeps for it.
fn touch_storage(runtime: &Runtime) {
    let _entered = runtime.enter();
    assert!(catch_panic(|| panic!("its place is remembered")).is_err());
    let caught = std::panic::catch_unwind(|| catch_panic(|| panic!("so is this one")));
    assert!(caught.is_ok());
    let port = Isolate::spawn_with_port(|port: ReceivePort<[u64; 4]>| port.listen(drop));
    for n in 0..4000 {
        port.send([n; 4]).expect("the port is open");
    }
    block_on(sleep(MS));
}

/// Runs `function` at the end of two threads, and tells that both have got to its end.
fn at_both_ends(runtime: &Runtime, function: fn(&Runtime)) {
    for is_first in [true, false] {
        let (runtime, (done, end)) = (runtime.clone(), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let entered = runtime.clone();
            let last = move || {
                function(&entered);
                done.send(()).expect("it is waited for");
            };
            if is_first {
                at_end(last);
                touch_storage(&runtime);
            } else {
                touch_storage(&runtime);
                at_end(last);
            }
        });
        thread.join().expect("its destructors do not panic");
        assert_eq!(end.try_recv(), Ok(()), "the destructor has run");
    }
}

fn with_runtime(function: fn(&Runtime)) {
    let runtime = Runtime::builder().threads(2).build();
    at_both_ends(&runtime, function);
    runtime.shut_down();
}

#[test]
fn isolates_can_be_spawned_and_awaited() {
    in_child(|| {
        with_runtime(|runtime| {
            let isolate = Isolate::spawn(|()| {}, ());
            block_on(isolate.exited());
            let _entered = runtime.enter();
            assert_eq!(Isolate::run(|| 7).wait(), Ok(7));
            assert_eq!(block_on(Isolate::run_async(async || 7)), Ok(7));
            let pinned = Isolate::builder().spawn_pinned(async |_, ()| {}, ());
            block_on(pinned.unwrap().exited());
            let group = IsolateGroup::new("group");
            let (isolate, port) = Isolate::builder()
                .name("named")
                .group(&group)
                .spawn_pair(|port: ReceivePort<u32>| port.listen(drop));
            port.send(1).unwrap();
            assert_eq!(isolate.name().as_ref(), "named");
            assert_eq!(block_on(isolate.ping(Priority::AsEvent)), Ok(()));
            assert!(!block_on(isolate.why_alive()).is_empty());
            isolate.resume(isolate.pause());
            assert_eq!(isolate.run_at(Priority::Immediate, || 7).wait(), Ok(7));
            drop(block_on(Isolate::run(|| panic!("an isolate's"))));
            group.kill_all();
            block_on(isolate.exited());
            assert!(Isolate::current().is_none());
        });
    });
}

#[test]
fn a_runtime_can_be_entered_and_left() {
    in_child(|| {
        with_runtime(|runtime| {
            let outer = Runtime::builder().threads(1).build();
            let seeded = Runtime::builder().seeded(1).build();
            let is_current = |runtime: &Runtime| {
                let before = runtime.isolate_count();
                let (go, wait) = one_shot::<()>();
                let isolate = Isolate::spawn(async move |()| _ = wait.await, ());
                let is_current = runtime.isolate_count() == before + 1;
                go.send(());
                if !runtime.monitor_ticks().eq(&0) || is_current {
                    isolate.kill();
                }
                is_current
            };
            let entered = outer.enter();
            assert!(is_current(&outer));
            let again = runtime.enter();
            assert!(!is_current(&outer));
            drop(again);
            assert!(is_current(&outer));
            outer.block_on(async { sleep(MS).await });
            seeded.block_on(async { sleep(MS * 1000).await });
            seeded.run_until_idle();
            seeded.advance(MS);
            seeded.shut_down();
            drop(entered);
            drop(Runtime::current());
            drop(Runtime::global());
            assert!(outer.stuck(MS).is_empty());
            outer.shut_down();
        });
    });
}

#[test]
fn ports_questions_and_names_work() {
    in_child(|| {
        with_runtime(|runtime| {
            let _entered = runtime.enter();
            let name = format!("{:?}", std::thread::current().id());
            let doubler = |port: ReceivePort<(u32, ReplyTo<u32>)>| {
                port.listen(|(n, reply)| reply.send(2 * n));
            };
            let port = Isolate::spawn_with_port(doubler);
            IsolateNameServer::register(name.as_str(), &port).unwrap();
            let found = IsolateNameServer::look_up::<(u32, ReplyTo<u32>)>(&name);
            assert_eq!(found.as_ref(), Some(&port));
            assert_eq!(block_on(port.ask(|reply| (21, reply))), Ok(42));
            assert_eq!(port.ask_blocking(|reply| (21, reply), None), Ok(42));
            let (reply_to, reply) = one_shot();
            assert!(block_on(port.send_wait((1, reply_to))).is_ok());
            assert_eq!(reply.wait(), Ok(2));
            let (reply_to, reply) = one_shot();
            assert!(port.send_blocking((1, reply_to)).is_ok());
            assert_eq!(reply.wait(), Ok(2));
            assert!(IsolateNameServer::remove(&name));
            let bounded = Isolate::builder().bounded(1);
            let bounded = bounded.spawn_with_port(|port: ReceivePort<[u64; 4]>| port.listen(drop));
            for n in 0..1000 {
                bounded.send_blocking([n; 4]).unwrap();
            }
        });
    });
}

#[test]
fn native_ports_and_callbacks_work() {
    in_child(|| {
        with_runtime(|runtime| {
            let _entered = runtime.enter();
            let port = NativePort::new("end", |(n, reply): (u32, ReplyTo<u32>)| reply.send(n), 2);
            let (reply_to, reply) = one_shot();
            port.post((7, reply_to)).unwrap();
            assert_eq!(reply.wait(), Ok(7));
            assert_eq!(block_on(port.ask(|reply| (7, reply))), Ok(7));
            assert!(port.close());

            let (send, receive) = one_shot();
            let isolate = Isolate::spawn(
                move |()| {
                    let listener = ListenerCallback::new(|()| {});
                    let blocking = BlockingCallback::new(|n: u32| 2 * n);
                    let group = GroupBoundCallback::new((), |(), n: u32| match n {
                        0 => panic!("a callback's"),
                        n => n,
                    });
                    send.send((listener, blocking, group));
                },
                (),
            );
            let (listener, blocking, group) = receive.wait().unwrap();
            assert!(listener.call(()).is_ok());
            assert_eq!(blocking.call(21), Ok(42));
            assert_eq!(blocking.call_timeout(21, MS * 10_000), Ok(42));
            assert_eq!(group.call(7), Ok(7));
            assert!(group.call(0).is_err());
            drop((listener, blocking, group));
            block_on(isolate.exited());
        });
    });
}

#[test]
fn mailboxes_and_locks_work() {
    in_child(|| {
        with_runtime(|runtime| {
            let _entered = runtime.enter();
            let (requester, responder) = rendezvous::<u32, u32>();
            let answered = Isolate::run(move || {
                let n = responder.receive().unwrap();
                responder.respond(2 * n).unwrap();
            });
            assert_eq!(requester.request_timeout(21, MS * 10_000), Ok(42));
            assert_eq!(answered.wait(), Ok(()));
            let mailbox = Mailbox::new();
            mailbox.put(1).unwrap();
            assert_eq!(mailbox.take_timeout(MS), Ok(1));
            assert!(mailbox.take_timeout(MS).is_err());
            let putting = mailbox.clone();
            drop(Isolate::run(move || putting.put(2)).wait());
            assert_eq!(mailbox.take(), Ok(2));
            let mutex = Mutex::new(1);
            *mutex.lock().unwrap() += 1;
            let (raw, condition) = (RawMutex::new(), ConditionVariable::new());
            raw.lock().unwrap();
            raw.unlock().unwrap();
            let guard = mutex.lock().unwrap();
            let _ = condition.wait_timeout(guard, MS);
        });
    });
}

#[test]
fn time_panics_and_sockets_work() {
    in_child(|| {
        with_runtime(|runtime| {
            let _entered = runtime.enter();
            block_on(sleep(MS));
            block_on(yield_now());
            checkpoint();
            insula_core::blocking(|| ());
            let report = catch_panic(|| panic!("caught"));
            assert_eq!(report.unwrap_err().message(), "caught");
            set_error_hook(|_| {});
            let mut root = RootIsolate::builder("root").runtime(runtime).create();
            root.enter(|_| {
                insula_core::Timer::run(|| {});
            });
            while root.handle_message() == Handled::More {}
            root.shut_down();
            #[cfg(unix)]
            {
                use std::io::{Read, Write};
                use std::os::unix::net::UnixStream;
                let (near, mut far) = UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                let source = Source::new(near.try_clone().unwrap()).unwrap();
                let reading = async {
                    let attempt = || (&near).read(&mut [0]);
                    let reading = source.io(insula_core::Direction::Read, attempt);
                    far.write_all(&[1]).unwrap();
                    reading.await
                };
                assert_eq!(block_on(reading).unwrap(), 1);
            }
        });
    });
}

/// The values are dropped there, or after it.
#[test]
fn handles_may_outlive_the_storage() {
    thread_local! {
        static HANDLES: Cell<Vec<Box<dyn std::any::Any>>> = const { Cell::new(Vec::new()) };
    }
    fn handles(runtime: &Runtime) -> Vec<Box<dyn std::any::Any>> {
        let _entered = runtime.enter();
        let (isolate, port): (Isolate, SendPort<u32>) =
            Isolate::builder().spawn_pair(|port: ReceivePort<u32>| port.listen(drop));
        let mut sleeping: std::pin::Pin<Box<Sleep>> = Box::pin(sleep(MS * 100_000));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(sleeping.as_mut().poll(&mut cx).is_pending());
        let (answer, reply) = one_shot::<u32>();
        let ask: insula_core::Ask<()> = isolate.ping(Priority::Immediate);
        let entered: Entered = runtime.enter();
        vec![
            Box::new(entered),
            Box::new(isolate),
            Box::new(port),
            Box::new(sleeping),
            Box::new((answer, reply, ask)),
            Box::new(RootIsolate::builder("root").runtime(runtime).create()),
            Box::new(NativePort::new("handle", |()| {}, 1)),
            Box::new(Isolate::run(|| ())),
            Box::new(rendezvous::<u32, u32>()),
            Box::new(Mailbox::<u32>::new()),
            Box::new(runtime.clone()),
        ]
    }
    in_child(|| {
        with_runtime(|runtime| HANDLES.set(handles(runtime)));
        let runtime = Runtime::builder().threads(2).build();
        for is_first in [true, false] {
            let runtime = runtime.clone();
            let thread = std::thread::spawn(move || {
                if is_first {
                    HANDLES.set(Vec::new());
                }
                touch_storage(&runtime);
                HANDLES.set(handles(&runtime));
            });
            thread.join().unwrap();
        }
        runtime.shut_down();
    });
}

/// Threads of the runtime itself: of the pool, of a pinned isolate, of a native port.
#[test]
fn threads_of_the_runtime_end_likewise() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let (done, end) = mpsc::channel();
        let last = move |name: &'static str| {
            let done = done.clone();
            move || {
                let runtime = Runtime::current();
                let _entered = runtime.enter();
                let isolate = Isolate::spawn(|()| {}, ());
                block_on(isolate.exited());
                block_on(sleep(MS));
                assert!(catch_panic(|| panic!("caught")).is_err());
                done.send(name).unwrap();
            }
        };
        let _entered = runtime.enter();
        let of_pool = last("pool");
        assert_eq!(Isolate::run(move || at_end(of_pool)).wait(), Ok(()));
        let of_pinned = last("pinned");
        let pinned = Isolate::builder().spawn_pinned(async |_, ()| at_end(of_pinned), ());
        block_on(pinned.unwrap().exited());
        let of_native = last("native");
        let port = NativePort::new(
            "native",
            move |()| {
                at_end(of_native.clone());
            },
            1,
        );
        port.post(()).unwrap();
        drop(port);
        runtime.shut_down();
        let mut ended: Vec<_> = (0..3).map(|_| end.recv().unwrap()).collect();
        ended.sort_unstable();
        assert_eq!(ended, ["native", "pinned", "pool"]);
    });
}
