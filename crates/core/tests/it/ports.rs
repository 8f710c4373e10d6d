//! Risk: messages are lost, doubled or reordered; a sender waits for ever or is told wrongly.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use insula_core::{
    Isolate, IsolateNameServer, ReceivePort, ReplyTo, Runtime, SendBlockingError, SendError,
    SendPort, SendWait, block_on, one_shot, sleep, yield_now,
};

use crate::trace::for_each_seed;

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Messages of the long tests; Miri interprets fewer.
const COUNT: u32 = if cfg!(miri) { 30 } else { 3000 };

/// Case 66: one order across the ports of an isolate; first in, first out for each sender.
#[test]
fn messages_of_one_sender_keep_their_order_across_ports() {
    for_each_seed(
        || async {
            let ports: Vec<ReceivePort<u32>> = (0..3).map(|_| ReceivePort::new()).collect();
            let senders: Vec<_> = ports.iter().map(ReceivePort::send_port).collect();
            let all = ReceivePort::new();
            let collect = all.send_port();
            for port in ports {
                let collect = collect.clone();
                port.listen(move |i| collect.send(i).unwrap());
            }
            drop(collect);
            Isolate::spawn(
                move |()| (0..COUNT).for_each(|i| senders[i as usize % 3].send(i).unwrap()),
                (),
            );
            let mut all = all;
            let mut seen = Vec::new();
            while seen.len() < COUNT as usize {
                seen.push(all.recv().await.unwrap());
            }
            seen
        },
        |seen| assert_eq!(seen, Ok((0..COUNT).collect())),
    );
}

#[test]
fn four_senders_on_threads_keep_their_own_order() {
    const EACH: u64 = if cfg!(miri) { 100 } else { 50_000 };
    let (done, finished) = one_shot();
    let mut done = Some(done);
    let sink = Isolate::spawn_with_port(move |port: ReceivePort<(usize, u64)>| {
        let mut next = [0u64; 4];
        port.listen(move |(sender, i)| {
            assert_eq!(next[sender], i);
            next[sender] += 1;
            if next.iter().all(|&n| n == EACH) {
                done.take().unwrap().send(());
            }
        });
    });
    for sender in 0..4 {
        let sink = sink.clone();
        if sender % 2 == 0 {
            std::thread::spawn(move || (0..EACH).for_each(|i| sink.send((sender, i)).unwrap()));
        } else {
            Isolate::spawn(
                move |()| (0..EACH).for_each(|i| sink.send((sender, i)).unwrap()),
                (),
            );
        }
    }
    drop(sink);
    assert_eq!(finished.wait(), Ok(()));
}

/// A name belongs to one open port, and goes with its isolate.
#[test]
fn the_name_server_knows_open_ports() {
    let runtime = Runtime::builder().seeded(1).build();
    let (first, port) = Isolate::builder()
        .runtime(&runtime)
        .spawn_pair(|port: ReceivePort<u8>| port.listen(drop));
    let other = Isolate::builder()
        .runtime(&runtime)
        .spawn_with_port(|port: ReceivePort<u8>| port.listen(drop));
    assert_eq!(IsolateNameServer::register("letters", &port), Ok(()));
    let taken = IsolateNameServer::register("letters", &other).unwrap_err();
    assert_eq!(&*taken.name, "letters");
    assert_eq!(IsolateNameServer::look_up("letters"), Some(port));
    assert_eq!(IsolateNameServer::look_up::<u16>("letters"), None);
    first.kill();
    runtime.run_until_idle();
    assert_eq!(IsolateNameServer::look_up::<u8>("letters"), None);
    assert_eq!(IsolateNameServer::register("letters", &other), Ok(()));
    assert!(IsolateNameServer::remove("letters"));
    assert!(!IsolateNameServer::remove("letters"));
    runtime.shut_down();
}

/// Case 72.
#[test]
fn senders_are_equal_and_hash_by_port() {
    let (same, other) = Isolate::run(|| {
        let one = ReceivePort::<u8>::new();
        let two = ReceivePort::<u8>::new();
        let senders: HashSet<SendPort<u8>> =
            [one.send_port(), one.send_port(), two.send_port()].into();
        let closed = one.send_port();
        let id = one.id();
        one.close();
        (closed.id() == id && closed == closed.clone(), senders.len())
    })
    .wait()
    .unwrap();
    assert!(same);
    assert_eq!(other, 2);
}

#[test]
fn a_refused_message_comes_back() {
    let port = Isolate::spawn_with_port(|port: ReceivePort<String>| port.close());
    while !port.is_closed() {
        std::thread::yield_now();
    }
    assert_eq!(
        port.send("kept".to_owned()),
        Err(SendError::Closed("kept".to_owned()))
    );
    assert_eq!(
        block_on(port.send_wait("kept".to_owned()))
            .unwrap_err()
            .into_inner(),
        "kept"
    );
}

#[test]
fn a_large_message_and_an_aligned_one_travel_by_their_box() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(64))]
    struct Aligned([u8; 64]);
    type Large = ([u64; 100], Aligned);
    let port = Isolate::spawn_with_port(|port: ReceivePort<(Large, ReplyTo<Large>)>| {
        port.listen(|((mut words, aligned), reply)| {
            assert!((&raw const aligned).is_aligned());
            words[0] = 1;
            reply.send((words, aligned));
        })
    });
    let mut words = [0; 100];
    words[99] = 99;
    let message = (words, Aligned([7; 64]));
    words[0] = 1;
    let answer = block_on(port.ask(|reply| (message, reply)));
    assert_eq!(answer, Ok((words, Aligned([7; 64]))));
}

/// The data that a message owns is neither copied nor looked at, whatever its size.
#[test]
fn what_a_message_owns_stays_where_it_is() {
    let echo = Isolate::spawn_with_port(|port: ReceivePort<(Vec<u8>, ReplyTo<Vec<u8>>)>| {
        port.listen(|(bytes, reply)| reply.send(bytes))
    });
    for size in [64, 1 << 10, 1 << 20] {
        let bytes = vec![3; size];
        let place = bytes.as_ptr();
        let back = block_on(echo.ask(|reply| (bytes, reply)));
        assert_eq!(back.map(|bytes| bytes.as_ptr()), Ok(place));
    }
}

#[test]
fn a_message_of_no_size_is_still_a_message() {
    let (done, finished) = one_shot();
    let mut done = Some(done);
    let port = Isolate::spawn_with_port(move |port: ReceivePort<()>| {
        let mut count = 0;
        port.listen(move |()| {
            count += 1;
            if count == 1000 {
                done.take().unwrap().send(count);
            }
        });
    });
    (0..1000).for_each(|_| port.send(()).unwrap());
    assert_eq!(finished.wait(), Ok(1000));
}

#[test]
fn recv_ends_behind_the_last_message_of_the_last_sender() {
    for_each_seed(
        || async {
            let mut port = ReceivePort::new();
            for from in 0..4 {
                let sender = port.send_port();
                Isolate::spawn(
                    async move |from: u32| {
                        for i in 0..25 {
                            sender.send(from * 100 + i).unwrap();
                            yield_now().await;
                        }
                    },
                    from,
                );
            }
            let mut count = 0;
            while port.recv().await.is_some() {
                count += 1;
            }
            // The end is not for ever: a new sender opens it again.
            port.send_port().send(1).unwrap();
            (count, port.recv().await, port.recv().await)
        },
        |result| assert_eq!(result, Ok((100, Some(1), None))),
    );
}

#[test]
fn what_nobody_receives_is_dropped_once() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::builder().threads(2).build();
    let port = Isolate::builder().runtime(&runtime).spawn_with_port(
        |port: ReceivePort<Counted>| async move {
            // Never asks for a message.
            let _port = port;
            std::future::pending::<()>().await;
        },
    );
    (0..100).for_each(|_| port.send(Counted(dropped.clone())).unwrap());
    runtime.shut_down();
    assert!(port.send(Counted(dropped.clone())).is_err());
    assert_eq!(dropped.load(Ordering::SeqCst), 101);
}

#[test]
fn a_bounded_port_takes_so_many_and_no_more() {
    let runtime = Runtime::builder().seeded(1).build();
    let port = Isolate::builder()
        .runtime(&runtime)
        .bounded(3)
        .spawn_with_port(|mut port: ReceivePort<u32>| async move {
            assert_eq!(port.recv().await, Some(0));
            std::future::pending::<()>().await;
        });
    (0..3).for_each(|i| port.send(i).unwrap());
    assert_eq!(port.send(3), Err(SendError::Full(3)));
    runtime.run_until_idle();
    // One has been taken, and its place given back.
    assert_eq!(port.send(4), Ok(()));
    assert_eq!(port.send(5), Err(SendError::Full(5)));
    runtime.shut_down();
}

#[test]
fn a_cleared_port_gives_back_the_room_of_what_it_drops() {
    let runtime = Runtime::builder().seeded(1).build();
    let port = Isolate::builder()
        .runtime(&runtime)
        .bounded(3)
        .spawn_with_port(|port: ReceivePort<u32>| port.listen(drop).clear());
    for _ in 0..5 {
        (0..3).for_each(|i| port.send(i).unwrap());
        assert_eq!(port.send(3), Err(SendError::Full(3)));
        runtime.run_until_idle();
    }
    runtime.shut_down();
}

#[test]
fn senders_that_wait_get_room_and_keep_their_order() {
    for limit in [1, 2, 7, 64] {
        for_each_bounded(limit);
    }
}

fn for_each_bounded(limit: usize) {
    for seed in crate::SEEDS {
        let runtime = Runtime::builder().seeded(seed).build();
        let result = runtime.block_on(async {
            Isolate::run_async(move || async move {
                let mut port = ReceivePort::bounded(limit);
                for from in 0..3u32 {
                    let sender = port.send_port();
                    Isolate::spawn(
                        async move |()| {
                            for i in 0..50 {
                                sender.send_wait((from, i)).await.expect("the port is open");
                            }
                        },
                        (),
                    );
                }
                let mut next = [0; 3];
                while let Some((from, i)) = port.recv().await {
                    assert_eq!(next[from as usize], i);
                    next[from as usize] += 1;
                }
                next
            })
            .await
        });
        assert_eq!(result, Ok([50; 3]), "limit {limit}, seed {seed}");
        runtime.shut_down();
    }
}

#[test]
fn a_sender_that_waits_learns_that_the_port_closed() {
    let runtime = Runtime::builder().threads(2).build();
    let port = Isolate::builder()
        .runtime(&runtime)
        .bounded(1)
        .spawn_with_port(|port: ReceivePort<u32>| async move {
            insula_core::sleep(std::time::Duration::from_millis(5)).await;
            drop(port);
        });
    port.send(1).unwrap();
    assert_eq!(port.send_blocking(2), Err(SendBlockingError::Closed(2)));
    runtime.shut_down();
}

#[test]
fn a_waiting_sender_that_gives_up_lets_the_next_one_in() {
    let runtime = Runtime::builder().seeded(5).build();
    let result = runtime.block_on(async {
        Isolate::run_async(|| async {
            let mut port = ReceivePort::bounded(1);
            let sender = port.send_port();
            sender.send(0).unwrap();
            let second = sender.clone();
            insula_core::spawn_local(async move { second.send_wait(2).await.unwrap() });
            {
                let mut first = std::pin::pin!(sender.send_wait(1));
                std::future::poll_fn(|cx| {
                    assert!(first.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
            }
            drop(sender);
            (port.recv().await, port.recv().await, port.recv().await)
        })
        .await
    });
    assert_eq!(result, Ok((Some(0), Some(2), None)));
    runtime.shut_down();
}

/// A waker that says whether it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A sender that waits, and whether it was woken.
struct Waiter<'a> {
    sending: Pin<Box<SendWait<'a, u32>>>,
    flag: Arc<Flag>,
}

impl<'a> Waiter<'a> {
    fn new(port: &'a SendPort<u32>, message: u32) -> Self {
        let mut waiter = Self {
            sending: Box::pin(port.send_wait(message)),
            flag: Arc::default(),
        };
        assert_eq!(waiter.poll(), Poll::Pending);
        waiter
    }

    fn poll(&mut self) -> Poll<Result<(), SendError<u32>>> {
        let waker = self.flag.clone().into();
        self.sending.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn was_woken(&self) -> bool {
        self.flag.0.swap(false, Ordering::SeqCst)
    }
}

/// An isolate with a full port for one message, which takes one whenever it is told to.
fn full_port(runtime: &Runtime) -> (SendPort<u32>, impl Fn() + use<>) {
    let (told, tell) = one_shot::<SendPort<()>>();
    let port = Isolate::builder()
        .runtime(runtime)
        .bounded(1)
        .spawn_with_port(async move |mut port: ReceivePort<u32>| {
            let mut takes = ReceivePort::new();
            told.send(takes.send_port());
            while let Some(()) = takes.recv().await {
                port.recv().await;
            }
        });
    runtime.run_until_idle();
    let take = runtime.block_on(tell).expect("the isolate lives");
    port.send(0).expect("the isolate lives");
    let driven = runtime.clone();
    let take = move || {
        take.send(()).expect("the isolate lives");
        driven.run_until_idle();
    };
    (port, take)
}

#[test]
fn a_waiting_sender_that_is_kept_and_not_polled_blocks_no_other() {
    let runtime = Runtime::builder().seeded(3).build();
    let (port, take) = full_port(&runtime);
    let waiters: Vec<_> = (1..=3).map(|i| Waiter::new(&port, i)).collect();
    take();
    assert!(waiters[0].was_woken());
    assert!(!waiters[1].was_woken() && !waiters[2].was_woken());
    // The first two never come. The third gets the place that they do not use.
    for waiter in &waiters[1..] {
        runtime.block_on(sleep(Duration::from_millis(2)));
        runtime.run_until_idle();
        assert!(waiter.was_woken());
    }
    let [mut first, _second, mut third]: [_; 3] = waiters.try_into().ok().unwrap();
    assert_eq!(third.poll(), Poll::Ready(Ok(())));
    // The first waiter, polled late, waits again, in front of later waiters.
    assert_eq!(first.poll(), Poll::Pending);
    let fourth = Waiter::new(&port, 4);
    take();
    assert!(first.was_woken() && !fourth.was_woken());
    assert_eq!(first.poll(), Poll::Ready(Ok(())));
    drop((first, third, fourth));
    runtime.shut_down();
}

/// A `ReceivePort` may be dropped anywhere. Its isolate lives on, and so would the wait.
#[test]
fn a_waiting_sender_learns_that_the_port_was_dropped_elsewhere() {
    let runtime = Runtime::builder().seeded(3).build();
    let (give, given) = one_shot();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        async |give: ReplyTo<(ReceivePort<u32>, SendPort<u32>)>| {
            let port = ReceivePort::bounded(1);
            let sender = port.send_port();
            give.send((port, sender));
            let mut others = ReceivePort::<()>::new();
            let _sender = others.send_port();
            others.recv().await;
        },
        give,
    );
    let (port, sender) = runtime.block_on(given).expect("it is given");
    runtime.run_until_idle();
    sender.send(1).expect("there is room");
    let mut waiter = Waiter::new(&sender, 2);
    drop(port);
    assert!(waiter.was_woken());
    assert_eq!(waiter.poll(), Poll::Ready(Err(SendError::Closed(2))));
    drop(waiter);
    isolate.kill();
    runtime.shut_down();
}

#[test]
fn a_place_is_not_kept_for_a_sender_that_was_woken() {
    let runtime = Runtime::builder().seeded(4).build();
    let (port, take) = full_port(&runtime);
    let mut waiter = Waiter::new(&port, 1);
    take();
    assert!(waiter.was_woken());
    assert_eq!(port.send(2), Ok(()));
    assert_eq!(waiter.poll(), Poll::Pending);
    take();
    assert_eq!(waiter.poll(), Poll::Ready(Ok(())));
    drop(waiter);
    runtime.shut_down();
}

#[test]
fn a_woken_sender_that_is_dropped_passes_its_place_on() {
    let runtime = Runtime::builder().seeded(5).build();
    let (port, take) = full_port(&runtime);
    let (first, mut second) = (Waiter::new(&port, 1), Waiter::new(&port, 2));
    take();
    assert!(first.was_woken() && !second.was_woken());
    drop(first);
    assert!(second.was_woken());
    assert_eq!(second.poll(), Poll::Ready(Ok(())));
    drop(second);
    runtime.shut_down();
}

#[test]
fn many_waiting_senders_are_woken_once_for_each_place() {
    let runtime = Runtime::builder().seeded(6).build();
    let (port, take) = full_port(&runtime);
    let mut waiters: Vec<_> = (0..200).map(|i| Waiter::new(&port, i)).collect();
    for next in 0..200 {
        take();
        let woken: Vec<_> = (0..200).filter(|&i| waiters[i].was_woken()).collect();
        assert_eq!(woken, [next]);
        assert_eq!(waiters[next].poll(), Poll::Ready(Ok(())));
    }
    drop(waiters);
    runtime.shut_down();
}

#[test]
fn a_receive_port_belongs_to_its_isolate() {
    let stolen = Isolate::run(|| {
        let port = ReceivePort::<u8>::new();
        let sender = port.send_port();
        (port, sender)
    });
    let (mut port, sender) = stolen.wait().unwrap();
    let used = insula_core::catch_panic(|| block_on(port.recv()));
    assert!(used.is_err());
    // Its isolate has ended; dropping it here is fine.
    drop(port);
    assert!(sender.send(1).is_err());
}

/// A port whose owner lives on: the refusal consumes the receiver, and must close its port.
#[test]
fn a_port_that_another_isolate_wants_to_listen_to_is_closed() {
    let runtime = Runtime::builder().seeded(1).build();
    let (give, got) = one_shot();
    let owner = Isolate::builder().runtime(&runtime).spawn(
        async move |()| {
            let port = ReceivePort::<u8>::new();
            let sender = port.send_port();
            give.send((port, sender));
            std::future::pending::<()>().await;
        },
        (),
    );
    let sender = runtime.block_on(async move {
        let (port, sender) = got.await.unwrap();
        let listen = move || {
            port.listen(drop);
        };
        let refused = Isolate::run(listen).await;
        assert!(refused.is_err());
        sender
    });
    assert!(sender.is_closed());
    drop(sender);
    owner.kill();
    runtime.shut_down();
}
