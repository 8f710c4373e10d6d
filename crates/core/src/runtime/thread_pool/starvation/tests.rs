//! Risk: a wait that comes back by itself is refused, or no wait is refused although all hang.
//!
//! Each test has one thread, whose isolate waits, and another isolate that waits to run. The tests
//! ask for the monitor's finding at once, without its patience.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::{
    Direction, ExitReason, Isolate, Mailbox, Priority, ReceivePort, ReplyTo, Runtime, Source,
    block_on, one_shot, sleep,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Returns whether the monitor would refuse `wait`, while another isolate waits to run or, without
/// `others_wait`, none does.
fn is_refused(others_wait: bool, wait: impl FnOnce() + Send + 'static) -> bool {
    let runtime = Runtime::builder().threads(1).spare_threads(0).build();
    let waits = Isolate::builder().runtime(&runtime).spawn(|()| wait(), ());
    let pool = runtime.core().thread_pool().expect("it has threads");
    let is_seated = || {
        let mut lane = waits.0.lane.lock();
        let seat = waits
            .0
            .peek_details(&mut lane, |details| details.seat.clone());
        seat.flatten().is_some()
    };
    while !(is_seated() && pool.sleep.stuck_if_exhausted() == Some(1)) {
        std::thread::yield_now();
    }
    // The isolate answers at an interrupt check inside of the wait, by which time it is decided
    // whether the wait is in the list of its thread.
    let checked = waits.run_at(Priority::Immediate, || ());
    block_on(checked).expect("it waits");
    if others_wait {
        Isolate::builder().runtime(&runtime).spawn(|()| (), ());
    }
    let is_refused = pool.newest_wait_if_starved().is_some();
    waits.kill();
    assert_eq!(block_on(waits.exited()), ExitReason::Killed);
    runtime.shut_down();
    is_refused
}

#[test]
fn a_wait_that_others_may_have_to_end_is_refused() {
    assert!(is_refused(true, || block_on(pending())));
    assert!(is_refused(true, || drop(Mailbox::<u8>::new().take())));
    assert!(is_refused(true, || {
        let (_answer, question) = one_shot::<u8>();
        let _ = question.wait();
    }));
    let idle = Isolate::spawn_with_port(|port: ReceivePort<ReplyTo<u8>>| {
        let mut kept = Vec::new();
        port.listen(move |question| kept.push(question));
    });
    assert!(is_refused(true, move || _ = block_on(idle.ask(|it| it))));
}

/// The pool has no other isolate that could end the wait, so something outside of it must.
#[test]
fn a_wait_on_the_last_thread_is_not_refused_while_nothing_waits_to_run() {
    assert!(!is_refused(false, || block_on(pending())));
    assert!(!is_refused(false, || drop(Mailbox::<u8>::new().take())));
}

#[test]
fn a_wait_for_time_is_not_refused() {
    assert!(!is_refused(true, || block_on(sleep(HOUR))));
    assert!(!is_refused(true, || {
        drop(Mailbox::<u8>::new().take_timeout(HOUR));
    }));
    // An earlier poll has waited for time, but only the last poll counts.
    assert!(is_refused(true, || {
        let mut sleeps = pin!(sleep(HOUR));
        block_on(poll_fn(|cx| {
            assert!(sleeps.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));
        block_on(pending::<()>());
    }));
}

#[cfg(unix)]
#[test]
fn a_wait_for_a_socket_is_not_refused() {
    use std::io::{self, Read};
    use std::os::unix::net::UnixStream;
    assert!(!is_refused(true, || {
        let (near, _far) = UnixStream::pair().expect("the system has sockets");
        near.set_nonblocking(true).expect("the system has sockets");
        let watched = near.try_clone().expect("the system has sockets");
        let source = Source::new(watched).expect("it can be watched");
        let read = || -> io::Result<usize> { (&near).read(&mut [0]) };
        drop(block_on(source.io(Direction::Read, read)));
    }));
}
