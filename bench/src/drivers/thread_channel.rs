//! Workloads of channels between plain threads.

use std::thread;
use std::time::{Duration, Instant};

use insula_sync::wait;

/// A channel with blocking ends.
pub(crate) trait ThreadChannel: 'static {
    type Tx<T: Send + 'static>: Clone + Send + 'static;
    type Rx<T: Send + 'static>: Send + 'static;

    /// A channel for at most `bound` waiting values, or for any number.
    fn open<T: Send + 'static>(bound: Option<usize>) -> (Self::Tx<T>, Self::Rx<T>);
    /// Waits for room.
    fn send<T: Send + 'static>(tx: &Self::Tx<T>, value: T);
    /// Waits for a value; `None` when all senders are gone.
    fn recv<T: Send + 'static>(rx: &Self::Rx<T>) -> Option<T>;
    /// Does not wait.
    fn try_recv<T: Send + 'static>(rx: &Self::Rx<T>) -> Option<T>;
}

/// One thread sends `0..count`, this one receives and sums.
pub(crate) fn one_way<C: ThreadChannel>(bound: Option<usize>, count: u64) -> Duration {
    let (tx, rx) = C::open::<u64>(bound);
    let start = Instant::now();
    let sender = thread::spawn(move || {
        for value in 0..count {
            C::send(&tx, value);
        }
    });
    let (mut received, mut sum) = (0_u64, 0_u64);
    while let Some(value) = C::recv(&rx) {
        received += 1;
        sum += value;
    }
    let elapsed = start.elapsed();
    sender.join().expect("the sending thread does not panic");
    assert_eq!((received, sum), (count, count * (count - 1) / 2));
    elapsed
}

/// A token goes to another thread and back `count` times; both sides spin, neither sleeps.
pub(crate) fn spinning_round_trips<C: ThreadChannel, T: Send + 'static>(
    count: u64,
    token: T,
    touch: fn(&mut T),
) -> (Duration, T) {
    let (to_peer, at_peer) = C::open::<T>(Some(16));
    let (to_main, at_main) = C::open::<T>(Some(16));
    let peer = thread::spawn(move || {
        for _ in 0..count {
            let mut token = spin_for::<C, T>(&at_peer);
            touch(&mut token);
            C::send(&to_main, token);
        }
    });
    let mut token = token;
    let start = Instant::now();
    for _ in 0..count {
        C::send(&to_peer, token);
        token = spin_for::<C, T>(&at_main);
        touch(&mut token);
    }
    let elapsed = start.elapsed();
    peer.join().expect("the answering thread does not panic");
    (elapsed, token)
}

fn spin_for<C: ThreadChannel, T: Send + 'static>(rx: &C::Rx<T>) -> T {
    loop {
        if let Some(value) = C::try_recv(rx) {
            return value;
        }
        wait::spin();
    }
}
