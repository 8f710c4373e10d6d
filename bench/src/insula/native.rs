//! Foreign threads that post to an isolate, and call it.

use std::time::{Duration, Instant};

use insula::callback::{BlockingCallback, ListenerCallback};
use insula::{Isolate, ReceivePort, one_shot};

use crate::insula::Shape;

/// Makes a value inside of a new isolate and returns it.
fn make<C: Send + 'static>(make: impl FnOnce() -> C + Send + 'static) -> C {
    let (send, made) = one_shot();
    Isolate::spawn(move |()| send.send(make()), ());
    made.wait().expect("the isolate makes it")
}

/// Returns a handler of `count` numbers, and the reply with their sum.
fn summing(count: u64) -> (impl FnMut(u64) + Send + 'static, insula::Reply<u64>) {
    let (done, sum) = one_shot();
    let (mut total, mut left, mut done) = (0, count, Some(done));
    let handler = move |n| {
        total += n;
        left -= 1;
        if left == 0
            && let Some(done) = done.take()
        {
            done.send(total);
        }
    };
    (handler, sum)
}

fn time_posts(count: u64, post: impl Fn(u64), sum: insula::Reply<u64>) -> Duration {
    let start = Instant::now();
    (0..count).for_each(post);
    assert_eq!(sum.wait(), Ok(count * (count - 1) / 2));
    start.elapsed()
}

/// Measures until the isolate has handled all of them, as do the other workloads here.
pub(crate) fn post_to_port(shape: Shape, count: u64) -> Duration {
    shape.run_beside(|| {
        let (handler, sum) = summing(count);
        let port = Isolate::spawn_with_port(|port: ReceivePort<u64>| port.listen(handler));
        time_posts(count, |n| port.send(n).expect("the isolate lives"), sum)
    })
}

pub(crate) fn post_to_listener(shape: Shape, count: u64) -> Duration {
    shape.run_beside(|| {
        let (handler, sum) = summing(count);
        let callback = make(|| ListenerCallback::new(handler));
        time_posts(count, |n| callback.call(n).expect("the isolate lives"), sum)
    })
}

/// One call at a time.
pub(crate) fn call_blocking(shape: Shape, count: u64) -> Duration {
    shape.run_beside(|| {
        let callback = make(|| BlockingCallback::new(|n: u64| n + 1));
        let start = Instant::now();
        for n in 0..count {
            assert_eq!(callback.call(n), Ok(n + 1));
        }
        start.elapsed()
    })
}
