//! Does one thing n times, on a runtime that this thread drives alone: for
//! `cargo xtask test --full growth`, which counts the instructions for n, 2n and 4n.
//!
//! `growth` lists the operations, `growth NAME N` runs one. Each of them must not cost more than
//! n log n steps, whatever else there are n of.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it lists its operations, and says what it does not know"
)]

use std::future::{Future, pending};
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Waker};
use std::time::Duration;

use insula_core::{
    Isolate, IsolateCell, IsolateGroup, IsolateNameServer, ListenerCallback, Mailbox, Priority,
    ReceivePort, ReplyTo, Runtime, SendPort, Timer, UncaughtError, one_shot, sleep, spawn_local,
};

type Operation = fn(&Runtime, usize);

const OPERATIONS: &[(&str, Operation)] = &[
    ("close-listeners", close_listeners),
    ("drop-ports", drop_ports),
    ("replace-listeners", replace_listeners),
    (
        "bounded-messages-beside-ports",
        bounded_messages_beside_ports,
    ),
    (
        "messages-beside-waiting-tasks",
        messages_beside_waiting_tasks,
    ),
    ("messages-to-bounded-ports", messages_to_bounded_ports),
    ("ports-lose-senders", ports_lose_senders),
    ("tasks-woken-from-outside", tasks_woken_from_outside),
    ("tasks-end", tasks_end),
    ("timers-fire", timers_fire),
    ("timers-cancelled", timers_cancelled),
    ("zero-timers-cancelled", zero_timers_cancelled),
    ("sleeps-outside", sleeps_outside),
    ("senders-wait", senders_wait),
    ("senders-give-up", senders_give_up),
    ("exit-waiters-give-up", exit_waiters_give_up),
    ("exit-listeners", exit_listeners),
    ("error-listeners", error_listeners),
    ("names", names),
    ("isolates-in-a-group", isolates_in_a_group),
    ("isolates-killed", isolates_killed),
    ("pauses", pauses),
    ("questions", questions),
    ("pings", pings),
    ("callbacks", callbacks),
    ("mailboxes-attached", mailboxes_attached),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, n] = &arguments[..] else {
        for (name, _) in OPERATIONS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let operation = OPERATIONS.iter().find(|(it, _)| it == name);
    let (Some((_, operation)), Ok(n)) = (operation, n.parse()) else {
        eprintln!("growth: no operation '{name}', or '{n}' is no number");
        return ExitCode::FAILURE;
    };
    let runtime = Runtime::builder().seeded(1).build();
    let entered = runtime.enter();
    operation(&runtime, n);
    runtime.run_until_idle();
    drop(entered);
    ExitCode::SUCCESS
}

/// Runs a future in an isolate, to its end.
fn in_isolate<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    make: impl FnOnce() -> F + Send + 'static,
) {
    let result = runtime.block_on(async { Isolate::run_async(make).await });
    assert_eq!(result, Ok(()));
}

fn poll_once<F: Future + Unpin>(future: &mut F) {
    drop(Pin::new(future).poll(&mut Context::from_waker(Waker::noop())));
}

/// An isolate that drops what is sent to it.
fn sink<T: Send + 'static>() -> (Isolate, SendPort<T>) {
    Isolate::builder().spawn_pair(|port: ReceivePort<T>| {
        port.listen(drop);
    })
}

fn close_listeners(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let listeners: Vec<_> = (0..n)
            .map(|_| ReceivePort::<u8>::new().listen(drop))
            .collect();
        for listener in listeners {
            listener.close();
        }
    });
}

fn drop_ports(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let ports: Vec<_> = (0..n).map(|_| ReceivePort::<u8>::new()).collect();
        drop(ports);
        // What closes them comes behind this.
        insula_core::yield_now().await;
    });
}

fn replace_listeners(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let listeners: Vec<_> = (0..n)
            .map(|i| {
                let port = ReceivePort::<u8>::new();
                port.set_name(i.to_string());
                port.listen(drop)
            })
            .collect();
        for listener in listeners {
            listener.replace(drop);
            listener.let_isolate_end();
            drop(listener.send_port());
        }
    });
}

/// Opens `n` ports that keep the isolate alive, and keeps them.
fn open_ports(n: usize) -> Vec<(ReceivePort<u8>, SendPort<u8>)> {
    let open = |_| {
        let port = ReceivePort::bounded(4);
        let sender = port.send_port();
        (port, sender)
    };
    (0..n).map(open).collect()
}

fn bounded_messages_beside_ports(runtime: &Runtime, n: usize) {
    let port = Isolate::builder()
        .bounded(4)
        .spawn_with_port(move |port: ReceivePort<u8>| {
            let others = open_ports(n);
            port.listen(move |_| assert_eq!(others.len(), n));
        });
    for _ in 0..n {
        assert_eq!(port.send(1), Ok(()));
        runtime.run_until_idle();
    }
    drop(port);
}

fn messages_beside_waiting_tasks(runtime: &Runtime, n: usize) {
    let port = Isolate::spawn_with_port(move |port: ReceivePort<u8>| {
        // The only thing that keeps the isolate alive is a task, the last of many.
        let tasks: Vec<_> = (0..n).map(|_| ReceivePort::<u8>::new()).collect();
        for mut task in tasks {
            spawn_local(async move {
                task.let_isolate_end();
                let _sender = task.send_port();
                task.recv().await;
            });
        }
        spawn_local(async {
            let (_answer, reply) = one_shot::<u8>();
            assert!(reply.await.is_ok());
        });
        port.let_isolate_end();
        port.listen(drop);
    });
    for _ in 0..n {
        assert_eq!(port.send(1), Ok(()));
        runtime.run_until_idle();
    }
}

fn messages_to_bounded_ports(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let mut ports = open_ports(n);
        for (port, sender) in &mut ports {
            assert_eq!(sender.send(1), Ok(()));
            assert_eq!(port.recv().await, Some(1));
        }
    });
}

fn ports_lose_senders(runtime: &Runtime, n: usize) {
    let (send, senders) = one_shot();
    Isolate::spawn(
        move |()| {
            let (ports, senders): (Vec<_>, Vec<_>) = open_ports(n).into_iter().unzip();
            for mut port in ports {
                spawn_local(async move { assert_eq!(port.recv().await, None) });
            }
            send.send(senders);
        },
        (),
    );
    for sender in runtime.block_on(senders).into_iter().flatten() {
        drop(sender);
        runtime.run_until_idle();
    }
    assert_eq!(runtime.isolate_count(), 0);
}

fn tasks_woken_from_outside(runtime: &Runtime, n: usize) {
    let (answers, replies): (Vec<_>, Vec<_>) = (0..n).map(|_| one_shot::<u8>()).unzip();
    Isolate::spawn(
        |()| {
            for reply in replies {
                spawn_local(async move { assert_eq!(reply.await, Ok(1)) });
            }
        },
        (),
    );
    runtime.run_until_idle();
    for answer in answers {
        answer.send(1);
        runtime.run_until_idle();
    }
    assert_eq!(runtime.isolate_count(), 0);
}

fn tasks_end(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        for _ in 0..n {
            spawn_local(insula_core::yield_now());
        }
        for _ in 0..n {
            spawn_local(pending());
        }
        insula_core::yield_now().await;
    });
}

fn timers_fire(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let period = Duration::from_nanos(1);
        for i in 0..n {
            // In no particular order, some of them at once.
            let delay = period * ((i * 7919) % n) as u32;
            Timer::after(delay, || ());
        }
        sleep(period * n as u32).await;
    });
}

fn timers_cancelled(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let timer = |i| Timer::after(Duration::from_secs(1 + i as u64), || ());
        let timers: Vec<_> = (0..n).map(timer).collect();
        for timer in timers {
            assert!(timer.cancel());
        }
    });
}

fn zero_timers_cancelled(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let timers: Vec<_> = (0..n).map(|_| Timer::run(|| ())).collect();
        for timer in timers.into_iter().rev() {
            assert!(timer.cancel());
        }
        sleep(Duration::from_secs(1)).await;
    });
}

fn sleeps_outside(runtime: &Runtime, n: usize) {
    let sleep = |i| Box::pin(sleep(Duration::from_micros(1 + i as u64)));
    let mut sleeps: Vec<_> = (0..n).map(sleep).collect();
    sleeps.iter_mut().for_each(poll_once);
    for sleep in sleeps.drain(n / 2..) {
        drop(sleep);
    }
    for mut sleep in sleeps {
        runtime.block_on(async { sleep.as_mut().await });
    }
}

fn senders_wait(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let mut port = ReceivePort::bounded(1);
        for i in 0..n {
            let sender = port.send_port();
            spawn_local(async move { assert_eq!(sender.send_wait(i).await, Ok(())) });
        }
        for i in 0..n {
            assert_eq!(port.recv().await, Some(i));
        }
    });
}

fn senders_give_up(runtime: &Runtime, n: usize) {
    let port = Isolate::builder()
        .bounded(1)
        .spawn_with_port(async |port: ReceivePort<u8>| {
            let _port = port;
            pending::<()>().await;
        });
    assert_eq!(port.send(1), Ok(()));
    let mut waits: Vec<_> = (0..n).map(|_| port.send_wait(2)).collect();
    waits.iter_mut().for_each(poll_once);
    runtime.run_until_idle();
    while let Some(last) = waits.pop() {
        drop(last);
    }
}

fn exit_waiters_give_up(runtime: &Runtime, n: usize) {
    let (isolate, port) = sink::<u8>();
    runtime.run_until_idle();
    let mut waits: Vec<_> = (0..n).map(|_| isolate.exited()).collect();
    waits.iter_mut().for_each(poll_once);
    waits.iter_mut().for_each(poll_once);
    let left = waits.split_off(n / 2);
    drop(waits);
    drop(port);
    for wait in left {
        runtime.block_on(wait);
    }
}

fn exit_listeners(runtime: &Runtime, n: usize) {
    let (isolate, port) = sink::<u8>();
    in_isolate(runtime, move || async move {
        let ports: Vec<_> = (0..n).map(|_| ReceivePort::<u8>::new()).collect();
        let senders: Vec<_> = ports.iter().map(ReceivePort::send_port).collect();
        for sender in &senders {
            isolate.add_exit_listener(sender, |_| 1);
            isolate.add_exit_listener(sender, |_| 2);
        }
        for sender in senders.iter().skip(n / 2) {
            isolate.remove_exit_listener(sender);
        }
        drop(port);
        for mut port in ports.into_iter().take(n / 2) {
            assert_eq!(port.recv().await, Some(2));
        }
    });
}

fn error_listeners(runtime: &Runtime, n: usize) {
    let (isolate, _port) = sink::<u8>();
    in_isolate(runtime, move || async move {
        let ports: Vec<_> = (0..n)
            .map(|_| ReceivePort::<UncaughtError>::new())
            .collect();
        let senders: Vec<_> = ports.iter().map(ReceivePort::send_port).collect();
        for sender in &senders {
            isolate.add_error_listener(sender);
            isolate.add_error_listener(sender);
        }
        for sender in senders.iter().rev() {
            isolate.remove_error_listener(sender);
        }
    });
}

fn names(runtime: &Runtime, n: usize) {
    let (_isolate, port) = sink::<u8>();
    runtime.run_until_idle();
    let names: Vec<_> = (0..n).map(|i| format!("name {i}")).collect();
    for name in &names {
        assert_eq!(IsolateNameServer::register(name.as_str(), &port), Ok(()));
    }
    for name in &names {
        assert!(IsolateNameServer::look_up::<u8>(name).is_some());
    }
    // The others go with the isolate.
    for name in names.iter().rev().skip(n / 2) {
        assert!(IsolateNameServer::remove(name));
    }
}

fn isolates_in_a_group(runtime: &Runtime, n: usize) {
    let group = IsolateGroup::new("many");
    let spawn = |_| {
        let builder = Isolate::builder().group(&group);
        builder.spawn_with_port(|port: ReceivePort<u8>| {
            port.listen(drop);
        })
    };
    let mut ports: Vec<_> = (0..n).map(spawn).collect();
    runtime.run_until_idle();
    while let Some(port) = ports.pop() {
        drop(port);
        runtime.run_until_idle();
    }
    assert!(group.isolates().is_empty());
}

fn isolates_killed(runtime: &Runtime, n: usize) {
    let ports: Vec<_> = (0..n).map(|_| sink::<u8>().1).collect();
    runtime.run_until_idle();
    runtime.kill_all();
    runtime.run_until_idle();
    assert_eq!(runtime.isolate_count(), 0);
    drop(ports);
}

fn pauses(runtime: &Runtime, n: usize) {
    let (isolate, _port) = sink::<u8>();
    let pauses: Vec<_> = (0..n).map(|_| isolate.pause()).collect();
    runtime.run_until_idle();
    for pause in pauses.into_iter().rev() {
        isolate.resume(pause);
        runtime.run_until_idle();
    }
}

fn questions(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let port = ReceivePort::<ReplyTo<usize>>::new();
        let sender = port.send_port();
        let asked = IsolateCell::new(Vec::new());
        let handler = asked.clone();
        let listener = port.listen(move |reply| handler.with(|asked| asked.push(reply)));
        let mut questions: Vec<_> = (0..n).map(|_| sender.ask(|reply| reply)).collect();
        questions.iter_mut().for_each(poll_once);
        insula_core::yield_now().await;
        asked.with(|asked| {
            for reply in asked.drain(..).rev() {
                reply.send(1);
            }
        });
        for question in questions.drain(n / 2..) {
            assert_eq!(question.await, Ok(1));
        }
        drop(questions);
        listener.close();
    });
}

fn pings(runtime: &Runtime, n: usize) {
    let (isolate, _port) = sink::<u8>();
    runtime.run_until_idle();
    let priorities = [
        Priority::Immediate,
        Priority::BeforeNextEvent,
        Priority::AsEvent,
    ];
    let mut pings: Vec<_> = (0..n).map(|i| isolate.ping(priorities[i % 3])).collect();
    pings.iter_mut().for_each(poll_once);
    for ping in pings {
        assert_eq!(runtime.block_on(ping), Ok(()));
    }
}

fn callbacks(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let callbacks: Vec<_> = (0..n).map(|_| ListenerCallback::new(drop::<u8>)).collect();
        for callback in &callbacks {
            assert_eq!(callback.call(1), Ok(()));
        }
        insula_core::yield_now().await;
        for callback in &callbacks {
            assert!(callback.close());
        }
    });
}

fn mailboxes_attached(runtime: &Runtime, n: usize) {
    in_isolate(runtime, move || async move {
        let attach = |_| {
            let mailbox = Mailbox::<u8>::new();
            mailbox.attach();
            mailbox
        };
        let mut mailboxes: Vec<_> = (0..n).map(attach).collect();
        while let Some(mailbox) = mailboxes.pop() {
            drop(mailbox);
        }
    });
}
