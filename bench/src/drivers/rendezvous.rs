//! A request, and its response, between two threads that wait for each other.

use std::thread;
use std::time::{Duration, Instant};

use insula_sync::wait;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The value that is sent there and back.
pub(crate) trait Message: Send + 'static {
    fn of(byte: u8) -> Self;
    /// Copies the message, for systems that cannot move a value.
    fn to_buffer(&self) -> Vec<u8>;
    fn from_buffer(buffer: &[u8]) -> Self;
    fn first(&self) -> u8;
    fn set_first(&mut self, byte: u8);
}

impl Message for [u8; 64] {
    fn of(byte: u8) -> Self {
        [byte; 64]
    }

    fn to_buffer(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn from_buffer(buffer: &[u8]) -> Self {
        buffer.try_into().expect("as long as it was sent")
    }

    fn first(&self) -> u8 {
        self[0]
    }

    fn set_first(&mut self, byte: u8) {
        self[0] = byte;
    }
}

/// A message of 1 MiB.
impl Message for Vec<u8> {
    fn of(byte: u8) -> Self {
        vec![byte; 1 << 20]
    }

    fn to_buffer(&self) -> Vec<u8> {
        self.clone()
    }

    fn from_buffer(buffer: &[u8]) -> Self {
        buffer.to_vec()
    }

    fn first(&self) -> u8 {
        self[0]
    }

    fn set_first(&mut self, byte: u8) {
        self[0] = byte;
    }
}

/// A way to pass a request to another thread and wait for the response.
pub(crate) trait Rendezvous: 'static {
    type Requester<T: Message>: Send + 'static;
    type Responder<T: Message>: Send + 'static;

    fn open<T: Message>() -> (Self::Requester<T>, Self::Responder<T>);
    fn request<T: Message>(requester: &Self::Requester<T>, message: T) -> T;
    /// Responds to `count` requests with the results of `handler`.
    fn serve<T: Message>(responder: &Self::Responder<T>, count: u64, handler: impl FnMut(T) -> T);
}

/// The placement of the two threads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    /// One core, so that one of the threads always sleeps.
    OneCore,
    TwoCores,
}

impl Place {
    fn pin(self, core: usize) {
        let core = match self {
            Self::Anywhere => return,
            Self::OneCore => 0,
            Self::TwoCores => core,
        };
        let mut cores = CpuSet::new();
        cores.set(core);
        // If that is not allowed, the kernel places the threads.
        let _ = sched_setaffinity(None, &cores);
    }
}

/// Makes `count` requests, one after the other; both sides compute for `work` before each
/// hand-over. Returns the time beyond that work.
pub(crate) fn round_trips<R: Rendezvous, T: Message>(
    place: Place,
    work: Duration,
    count: u64,
) -> Duration {
    let (requester, responder) = R::open::<T>();
    let there = thread::spawn(move || {
        place.pin(1);
        R::serve(&responder, count, |mut message: T| {
            compute(work);
            message.set_first(message.first().wrapping_add(1));
            message
        });
    });
    // Not on the calling thread, which would stay on its core for all later cases.
    let here = thread::spawn(move || {
        place.pin(0);
        let mut message = T::of(0);
        let start = Instant::now();
        for _ in 0..count {
            compute(work);
            message = R::request(&requester, message);
        }
        let elapsed = start.elapsed();
        assert_eq!(u64::from(message.first()), count % 256);
        elapsed
    });
    let elapsed = here.join().expect("the requesting thread does not panic");
    there.join().expect("the responding thread does not panic");
    elapsed.saturating_sub(2 * work * u32::try_from(count).expect("a small number"))
}

fn compute(work: Duration) {
    if work.is_zero() {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < work {
        wait::spin();
    }
}
