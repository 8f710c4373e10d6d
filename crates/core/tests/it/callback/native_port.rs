//! The promises of the VM's native ports, as far as they concern threads and the end.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use insula_core::{NativePort, ReplyTo, Runtime, SendError, one_shot};

use super::in_other_isolate;

/// From plain threads, from isolates, and from the port's own handler.
#[test]
fn anybody_may_post() {
    let runtime = Runtime::builder().threads(1).build();
    let own = Arc::new(Mutex::new(None::<NativePort<(u32, ReplyTo<u32>)>>));
    let again = own.clone();
    let port = NativePort::new(
        "again",
        move |(n, reply): (u32, ReplyTo<u32>)| match again.lock().unwrap().as_ref() {
            Some(port) if n > 0 => drop(port.post((n - 1, reply))),
            _ => reply.send(n),
        },
        1,
    );
    *own.lock().unwrap() = Some(port.clone());
    let ask = move || {
        let (reply_to, reply) = one_shot();
        port.post((3, reply_to)).map_err(|_| "closed")?;
        reply.wait().map_err(|_| "no reply")
    };
    assert_eq!(thread::spawn(ask.clone()).join().unwrap(), Ok(0));
    assert_eq!(in_other_isolate(&runtime, ask), Ok(0));
    *own.lock().unwrap() = None;
}

/// Messages posted before the close are handled, a running one goes on, and later ones come back.
#[test]
fn closing_drops_nothing_that_was_accepted() {
    let gate = Arc::new(Barrier::new(2));
    let held = gate.clone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let (end, ended) = one_shot();
    let mut end = Some(end);
    let last = Mutex::new(end.take());
    let port = NativePort::new(
        "closing",
        move |n: u32| {
            if n == 0 {
                held.wait();
            }
            log.lock().unwrap().push(n);
            if n == 3 {
                last.lock().unwrap().take().unwrap().send(());
            }
        },
        1,
    );
    for n in 0..4 {
        port.post(n).unwrap();
    }
    assert!(port.close());
    assert!(!port.close());
    assert_eq!(port.post(4), Err(SendError::Closed(4)));
    gate.wait();
    ended.wait().unwrap();
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3]);
}
