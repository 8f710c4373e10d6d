//! Risk: on virtual time, where a post runs the handler of a native port, a handler runs inside of
//! itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use insula_core::{Isolate, NativePort, Runtime, SendError};
use insula_sync::{Mutex, Rank};

use crate::watchdog::ends;

/// A chain of posts as long as this would not fit on a thread's stack.
const CHAIN: usize = if cfg!(miri) { 50 } else { 100_000 };

/// Ports whose handlers can post to all of them.
type Ports<T> = Arc<[OnceLock<NativePort<T>>]>;

fn ports<T: Send>(
    count: usize,
    handle: impl Fn(&Ports<T>, usize, T) + Clone + Send + Sync + 'static,
) -> Ports<T> {
    let ports: Ports<T> = (0..count).map(|_| OnceLock::new()).collect();
    for index in 0..count {
        // A handler that kept the ports would keep itself.
        let (handle, all) = (handle.clone(), Arc::downgrade(&ports));
        let handler = move |message| {
            let all = all.upgrade().expect("the test keeps the ports");
            handle(&all, index, message);
        };
        let port = NativePort::new(format!("port {index}"), handler, 1);
        assert!(ports[index].set(port).is_ok());
    }
    ports
}

fn post<T: Send>(ports: &Ports<T>, index: usize, message: T) -> Result<(), SendError<T>> {
    ports[index].get().expect("all are made").post(message)
}

/// A lock that the handler takes would be a deadlock otherwise. The running message and the waiting
/// ones are counted like those on threads.
#[test]
fn a_handler_is_not_run_inside_of_itself() {
    let log = ends(|| {
        let log = Arc::new(Mutex::ranked(Vec::new(), Rank::UNCHECKED));
        let told = log.clone();
        let ports = ports(1, move |ports: &Ports<u32>, _, n| {
            let mut log = told.lock();
            let port = ports[0].get().expect("it is made");
            log.push((n, port.running(), port.waiting()));
            if n < 3 {
                // As a heap: 1; 2, 3; 4, 5, 6, 7.
                assert_eq!(port.post(2 * n), Ok(()));
                assert_eq!(port.post(2 * n + 1), Ok(()));
            }
        });
        let runtime = Runtime::builder().seeded(1).build();
        let posting = ports.clone();
        // In an isolate and outside; what is posted is handled when the post returns.
        let inside = runtime.block_on(async { Isolate::run(move || post(&posting, 0, 1)).await });
        assert_eq!(inside, Ok(Ok(())));
        runtime.block_on(async { assert_eq!(post(&ports, 0, 9), Ok(())) });
        let port = ports[0].get().expect("it is made");
        assert_eq!((port.running(), port.waiting()), (0, 0));
        assert_eq!(port.threads(), 0);
        runtime.shut_down();
        let log = log.lock();
        log.clone()
    });
    let expected = [
        (1, 1, 0),
        (2, 1, 1),
        (3, 1, 2),
        (4, 1, 1),
        (5, 1, 0),
        (9, 1, 0),
    ];
    assert_eq!(log, expected);
}

#[test]
fn a_chain_of_posts_takes_no_stack() {
    let handled = ends(|| {
        let handled = Arc::new(AtomicUsize::new(0));
        let counted = handled.clone();
        // From port to port, and back.
        let ports = ports(3, move |ports: &Ports<usize>, index, left| {
            counted.fetch_add(1, Ordering::Relaxed);
            if left != 0 {
                assert_eq!(post(ports, (index + 1) % 3, left - 1), Ok(()));
            }
        });
        let runtime = Runtime::builder().seeded(1).build();
        runtime.block_on(async { assert_eq!(post(&ports, 0, CHAIN), Ok(())) });
        runtime.shut_down();
        handled.load(Ordering::Relaxed)
    });
    assert_eq!(handled, CHAIN + 1);
}

/// As on threads: the panic is told, and what was posted before the close is handled.
#[test]
fn what_a_handler_posted_is_handled_after_its_panic_and_after_the_close() {
    let log = ends(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let told = log.clone();
        let ports = ports(1, move |ports: &Ports<u32>, _, n| {
            told.lock().push(n);
            if n == 1 {
                assert_eq!(post(ports, 0, 2), Ok(()));
                assert!(ports[0].get().is_some_and(NativePort::close));
                assert_eq!(post(ports, 0, 3), Err(SendError::Closed(3)));
                panic!("on purpose");
            }
        });
        let runtime = Runtime::builder().seeded(1).build();
        runtime.block_on(async {
            assert_eq!(post(&ports, 0, 1), Ok(()));
            assert_eq!(post(&ports, 0, 4), Err(SendError::Closed(4)));
        });
        runtime.shut_down();
        let log = log.lock();
        log.clone()
    });
    assert_eq!(log, [1, 2]);
}

/// Each is handled on the thread of its runtime before the post returns, or the order of events
/// would depend on the other runtime.
#[test]
fn two_seeded_runtimes_that_share_a_port_do_not_wait_for_each_other() {
    let threads = ends(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let told = log.clone();
        let ports = ports(1, move |ports: &Ports<bool>, _, is_outer| {
            told.lock().push(insula_sync::thread_number());
            if is_outer {
                let ports = ports.clone();
                let other = std::thread::spawn(move || {
                    let runtime = Runtime::builder().seeded(2).build();
                    runtime.block_on(async { assert_eq!(post(&ports, 0, false), Ok(())) });
                    runtime.shut_down();
                    insula_sync::thread_number()
                });
                let other = other.join().expect("it does not panic");
                assert_eq!(told.lock().last(), Some(&other));
            }
        });
        let runtime = Runtime::builder().seeded(1).build();
        runtime.block_on(async { assert_eq!(post(&ports, 0, true), Ok(())) });
        runtime.shut_down();
        let log = log.lock();
        log.len()
    });
    assert_eq!(threads, 2);
}
