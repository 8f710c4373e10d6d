//! Workloads of channels between async tasks.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::drivers::executor::{Executor, give_way};

/// A channel with async ends.
pub(crate) trait AsyncChannel: 'static {
    type Tx<T: Send + 'static>: Clone + Send + Sync + 'static;
    type Rx<T: Send + 'static>: Send + 'static;

    /// A channel for at most `bound` waiting values, or for any number.
    fn open<T: Send + 'static>(bound: Option<usize>) -> (Self::Tx<T>, Self::Rx<T>);
    /// Waits for room.
    fn send<T: Send + 'static>(tx: &Self::Tx<T>, value: T) -> impl Future<Output = ()> + Send;
    /// Waits for a value; `None` when all senders are gone.
    fn recv<T: Send + 'static>(rx: &mut Self::Rx<T>) -> impl Future<Output = Option<T>> + Send;
}

/// `senders` tasks send `count` values together, one task receives and sums.
pub(crate) fn many_to_one<C: AsyncChannel>(
    executor: impl Executor,
    bound: Option<usize>,
    senders: u64,
    count: u64,
) -> Duration {
    let each = count / senders;
    let root = executor.clone();
    root.run(async move {
        let (tx, mut rx) = C::open::<u64>(bound);
        let start = Instant::now();
        let receiver = executor.spawn(async move {
            let (mut received, mut sum) = (0_u64, 0_u64);
            while let Some(value) = C::recv(&mut rx).await {
                received += 1;
                sum += value;
            }
            // The end is taken here, since the task that awaits this one may be polled later.
            (received, sum, Instant::now())
        });
        for _ in 0..senders {
            let tx = tx.clone();
            executor.detach(async move {
                for value in 0..each {
                    give_way(bound, value).await;
                    C::send(&tx, value).await;
                }
            });
        }
        drop(tx);
        let (received, sum, end) = receiver.await;
        assert_eq!(
            (received, sum),
            (each * senders, senders * (each * (each - 1) / 2))
        );
        end - start
    })
}

/// A token goes around `members` tasks `laps` times.
pub(crate) fn ring<C: AsyncChannel>(executor: impl Executor, members: u64, laps: u64) -> Duration {
    let hops = members * laps;
    let root = executor.clone();
    root.run(async move {
        let (first, mut at_next) = C::open::<u64>(None);
        let mut tasks = Vec::new();
        for index in 1..=members {
            let (tx, rx) = C::open::<u64>(None);
            let at_this = std::mem::replace(&mut at_next, rx);
            let next = if index == members { first.clone() } else { tx };
            tasks.push(executor.spawn(ring_member::<C>(at_this, next, hops)));
        }
        let start = Instant::now();
        C::send(&first, 1).await;
        drop(first);
        // The member that sees the last hop ends, and the others end one after the other.
        let ends = join_all(tasks).await;
        let end = ends
            .into_iter()
            .flatten()
            .next()
            .expect("one member saw the last hop");
        end - start
    })
}

async fn ring_member<C: AsyncChannel>(
    mut rx: C::Rx<u64>,
    next: C::Tx<u64>,
    hops: u64,
) -> Option<Instant> {
    while let Some(hop) = C::recv(&mut rx).await {
        if hop == hops {
            return Some(Instant::now());
        }
        C::send(&next, hop + 1).await;
    }
    None
}

/// A token goes to another task and back `count` times.
pub(crate) fn round_trips<C: AsyncChannel, T: Send + 'static>(
    executor: impl Executor,
    bound: Option<usize>,
    count: u64,
    token: T,
    touch: fn(&mut T),
) -> (Duration, T) {
    let root = executor.clone();
    root.run(async move {
        let (to_peer, mut at_peer) = C::open::<T>(bound);
        let (to_main, mut at_main) = C::open::<T>(bound);
        let peer = executor.spawn(async move {
            while let Some(mut token) = C::recv(&mut at_peer).await {
                touch(&mut token);
                C::send(&to_main, token).await;
            }
        });
        let mut token = token;
        let start = Instant::now();
        for _ in 0..count {
            C::send(&to_peer, token).await;
            token = C::recv(&mut at_main).await.expect("the peer answers");
            touch(&mut token);
        }
        let elapsed = start.elapsed();
        drop(to_peer);
        peer.await;
        (elapsed, token)
    })
}
