//! tokio's path from plain threads into a task: `blocking_send`, and back with `blocking_recv`.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::drivers::executor::Executor;
use crate::peers::tokio::Flavor;

/// Runs `foreign` on a plain thread beside a task.
fn beside<F>(
    flavor: Flavor,
    task: F,
    foreign: impl FnOnce() -> Duration + Send + 'static,
) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let foreign = thread::spawn(foreign);
    flavor.run(task);
    foreign.join().expect("the thread does not panic")
}

pub(crate) fn post_unbounded(flavor: Flavor, count: u64) -> Duration {
    let (send, mut receive) = mpsc::unbounded_channel();
    let (done, all) = oneshot::channel();
    let task = async move {
        let mut sum = 0;
        while let Some(n) = receive.recv().await {
            sum += n;
        }
        done.send(sum).expect("the thread waits");
    };
    beside(flavor, task, move || {
        let start = Instant::now();
        for n in 0..count {
            send.send(n).expect("the task lives");
        }
        drop(send);
        assert_eq!(all.blocking_recv(), Ok(count * (count - 1) / 2));
        start.elapsed()
    })
}

pub(crate) fn post_blocking(flavor: Flavor, bound: usize, count: u64) -> Duration {
    let (send, mut receive) = mpsc::channel(bound);
    let (done, all) = oneshot::channel();
    let task = async move {
        let mut sum = 0;
        while let Some(n) = receive.recv().await {
            sum += n;
        }
        done.send(sum).expect("the thread waits");
    };
    beside(flavor, task, move || {
        let start = Instant::now();
        for n in 0..count {
            send.blocking_send(n).expect("the task lives");
        }
        drop(send);
        assert_eq!(all.blocking_recv(), Ok(count * (count - 1) / 2));
        start.elapsed()
    })
}

/// One call at a time.
pub(crate) fn call_blocking(flavor: Flavor, count: u64) -> Duration {
    let (send, mut receive) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(16);
    let task = async move {
        while let Some((n, answer)) = receive.recv().await {
            answer.send(n + 1).expect("the thread waits");
        }
    };
    beside(flavor, task, move || {
        let start = Instant::now();
        for n in 0..count {
            let (answer, reply) = oneshot::channel();
            send.blocking_send((n, answer)).expect("the task lives");
            assert_eq!(reply.blocking_recv(), Ok(n + 1));
        }
        start.elapsed()
    })
}
