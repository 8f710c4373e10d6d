//! Messages alone, through ports.

use std::thread;
use std::time::{Duration, Instant};

use insula::isolate::Pinned;
use insula::{Isolate, ReceivePort, ReplyTo, SendPort, one_shot, yield_now};

use crate::drivers::executor::BURST;
use crate::insula::Shape;

/// The way in which an isolate receives its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A closure for each.
    Listen,
    /// A loop that awaits each.
    Recv,
}

/// The report of a sum isolate: the number of values, their sum, and when the last one arrived.
type Total = (u64, u64, Instant);

/// An isolate that counts and sums `count` values.
fn spawn_tally(
    reading: Reading,
    bound: Option<usize>,
    count: u64,
    total: ReplyTo<Total>,
) -> SendPort<u64> {
    let mut builder = Isolate::builder();
    if let Some(bound) = bound {
        builder = builder.bounded(bound);
    }
    match reading {
        Reading::Listen => builder.spawn_with_port(move |port: ReceivePort<u64>| {
            let mut total = Some(total);
            let (mut received, mut sum) = (0_u64, 0_u64);
            port.listen(move |value| {
                received += 1;
                sum += value;
                if received == count
                    && let Some(total) = total.take()
                {
                    total.send((received, sum, Instant::now()));
                }
            })
        }),
        Reading::Recv => builder.spawn_with_port(async move |mut port: ReceivePort<u64>| {
            let (mut received, mut sum) = (0_u64, 0_u64);
            while let Some(value) = port.recv().await {
                received += 1;
                sum += value;
            }
            total.send((received, sum, Instant::now()));
        }),
    }
}

/// Sends `0..count`, waiting for room or yielding from time to time.
async fn send_all(port: SendPort<u64>, bound: Option<usize>, count: u64) {
    for value in 0..count {
        if bound.is_some() {
            port.send_wait(value).await.expect("the receiver is there");
        } else {
            if value % BURST == BURST - 1 {
                yield_now().await;
            }
            port.send(value).expect("the receiver is there");
        }
    }
}

/// `senders` isolates send `count` values together, one isolate receives and sums.
pub(crate) fn many_to_one(
    shape: Shape,
    reading: Reading,
    bound: Option<usize>,
    senders: u64,
    count: u64,
) -> Duration {
    let each = count / senders;
    shape.run(async move {
        let (total, at_end) = one_shot();
        let tally = spawn_tally(reading, bound, each * senders, total);
        let start = Instant::now();
        for _ in 0..senders {
            let tally = tally.clone();
            Isolate::spawn(async move |()| send_all(tally, bound, each).await, ());
        }
        drop(tally);
        let (received, sum, end) = at_end.await.expect("the receiver lives until it has all");
        assert_eq!(
            (received, sum),
            (each * senders, senders * (each * (each - 1) / 2))
        );
        end - start
    })
}

/// A plain thread sends `count` values, one isolate receives and sums.
pub(crate) fn from_a_thread(bound: Option<usize>, count: u64) -> Duration {
    Shape::Multi.run_beside(|| {
        let (total, at_end) = one_shot();
        let tally = spawn_tally(Reading::Listen, bound, count, total);
        let start = Instant::now();
        let sender = thread::spawn(move || {
            for value in 0..count {
                tally.send_blocking(value).expect("the receiver is there");
            }
        });
        let (received, sum, end) = at_end.wait().expect("the receiver lives until it has all");
        sender.join().expect("the sending thread does not panic");
        assert_eq!((received, sum), (count, count * (count - 1) / 2));
        end - start
    })
}

/// A token goes around `members` isolates `laps` times.
pub(crate) fn ring(shape: Shape, members: u64, laps: u64) -> Duration {
    let hops = members * laps;
    shape.run(async move {
        let (last, at_end) = one_shot();
        let (started, all_started) = one_shot::<SendPort<u64>>();
        // Hop 1 reaches the first member, so the last hop reaches the last one, which this is.
        Isolate::spawn(
            move |()| {
                let port = ReceivePort::<u64>::new();
                let mut next = port.send_port();
                for _ in 1..members {
                    next = spawn_member(next);
                }
                started.send(next.clone());
                let mut last = Some(last);
                port.listen(move |hop| {
                    if hop < hops {
                        next.send(hop + 1).expect("the ring is closed");
                    } else if let Some(last) = last.take() {
                        last.send((hop, Instant::now()));
                    }
                })
            },
            (),
        );
        let first = all_started.await.expect("the ring is built");
        let start = Instant::now();
        first.send(1).expect("the ring is closed");
        let (hop, end) = at_end.await.expect("the token comes round");
        assert_eq!(hop, hops);
        end - start
    })
}

fn spawn_member(next: SendPort<u64>) -> SendPort<u64> {
    Isolate::spawn_with_port(move |port: ReceivePort<u64>| {
        port.listen(move |hop| next.send(hop + 1).expect("the ring is closed"))
    })
}

/// A token goes to another isolate of the pool and back `count` times.
pub(crate) fn round_trips<T: Send + 'static>(
    shape: Shape,
    reading: Reading,
    count: u64,
    token: T,
    touch: fn(&mut T),
) -> (Duration, T) {
    shape.run(async move {
        let (done, finished) = one_shot();
        let rally = Rally { count, touch, done };
        match reading {
            Reading::Listen => Isolate::spawn(move |()| listen_for(rally, token), ()),
            Reading::Recv => Isolate::spawn(async move |()| await_each(rally, token).await, ()),
        };
        finished.await.expect("the token comes back")
    })
}

/// The same between two pinned isolates, each on its own thread.
pub(crate) fn pinned_round_trips<T: Send + 'static>(
    count: u64,
    token: T,
    touch: fn(&mut T),
) -> (Duration, T) {
    Shape::Multi.run_beside(|| {
        let (done, finished) = one_shot();
        let rally = Rally { count, touch, done };
        let (here, home) = one_shot::<SendPort<T>>();
        let (there, away) = one_shot::<SendPort<T>>();
        let answering = async move |pinned: Pinned, ()| {
            let port = ReceivePort::new();
            there.send(port.send_port());
            let home = home.await.expect("the other side starts");
            pinned.listen(port, answer(home, touch));
        };
        let beginning = async move |pinned: Pinned, ()| {
            let port = ReceivePort::new();
            here.send(port.send_port());
            let peer = away.await.expect("the other side starts");
            pinned.listen(port, rally.begin(peer, token));
        };
        for started in [
            Isolate::builder().spawn_pinned(answering, ()),
            Isolate::builder().spawn_pinned(beginning, ()),
        ] {
            started.expect("the system gives two threads");
        }
        finished.wait().expect("the token comes back")
    })
}

/// The work of the side that begins.
struct Rally<T: Send + 'static> {
    count: u64,
    touch: fn(&mut T),
    done: ReplyTo<(Duration, T)>,
}

impl<T: Send + 'static> Rally<T> {
    /// Starts the clock and sends the token. Returns the handler of the answers.
    fn begin(self, peer: SendPort<T>, token: T) -> impl FnMut(T) + Send + 'static {
        let Self { count, touch, done } = self;
        let (mut left, mut done) = (count, Some(done));
        let start = Instant::now();
        peer.send(token).expect("the other side is there");
        move |mut token| {
            touch(&mut token);
            left -= 1;
            if left > 0 {
                peer.send(token).expect("the other side is there");
            } else if let Some(done) = done.take() {
                done.send((start.elapsed(), token));
            }
        }
    }
}

fn answer<T: Send + 'static>(
    home: SendPort<T>,
    touch: fn(&mut T),
) -> impl FnMut(T) + Send + 'static {
    move |mut token| {
        touch(&mut token);
        home.send(token).expect("the other side is there");
    }
}

fn listen_for<T: Send + 'static>(rally: Rally<T>, token: T) {
    let port = ReceivePort::new();
    let (home, touch) = (port.send_port(), rally.touch);
    let peer =
        Isolate::spawn_with_port(move |port: ReceivePort<T>| port.listen(answer(home, touch)));
    port.listen(rally.begin(peer, token));
}

async fn await_each<T: Send + 'static>(rally: Rally<T>, mut token: T) {
    let Rally { count, touch, done } = rally;
    let mut port = ReceivePort::new();
    let home = port.send_port();
    let peer = Isolate::spawn_with_port(async move |mut port: ReceivePort<T>| {
        let mut answer = answer(home, touch);
        while let Some(token) = port.recv().await {
            answer(token);
        }
    });
    let start = Instant::now();
    for _ in 0..count {
        peer.send(token).expect("the other side is there");
        token = port.recv().await.expect("the other side answers");
        touch(&mut token);
    }
    done.send((start.elapsed(), token));
}
