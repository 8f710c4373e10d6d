//! Ways in which two threads wait for each other: the first design of the Dart team, pairs of
//! rendezvous channels, and the bare futex.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU32, Ordering};
use rustix::thread::futex;

use crate::drivers::rendezvous::{Message, Rendezvous};
use crate::drivers::thread_channel::ThreadChannel;

const NONE: u32 = 0;
const REQUEST: u32 = 1;
const RESPONSE: u32 = 2;

/// A mutex, two condition variables, a state and a buffer; each message is copied into a buffer of
/// its own in transit. Over the locks of `L`.
pub(crate) struct TwoConditions<L>(PhantomData<L>);

/// A lock with two condition variables.
pub(crate) trait Locks: Default + Send + Sync + 'static {
    /// Runs `change` under the lock as soon as the state is `wanted`, and wakes the waiter of the
    /// opposite condition.
    fn when(&self, condition: usize, wanted: u32, change: impl FnOnce(&mut Letter));
    /// Runs `change` at once, whatever the state.
    fn now(&self, notify: usize, change: impl FnOnce(&mut Letter));
}

/// The data that the lock protects.
#[derive(Default)]
pub(crate) struct Letter {
    state: u32,
    buffer: Vec<u8>,
}

/// The condition of the waiter for a request.
const ASKED: usize = 0;
/// The condition of the waiter for a response.
const ANSWERED: usize = 1;

impl<L: Locks> Rendezvous for TwoConditions<L> {
    type Requester<T: Message> = Arc<L>;
    type Responder<T: Message> = Arc<L>;

    fn open<T: Message>() -> (Arc<L>, Arc<L>) {
        let shared = Arc::<L>::default();
        (shared.clone(), shared)
    }

    fn request<T: Message>(requester: &Arc<L>, message: T) -> T {
        let buffer = message.to_buffer();
        requester.now(ASKED, |letter| {
            assert_eq!(letter.state, NONE);
            letter.state = REQUEST;
            letter.buffer = buffer;
        });
        let mut response = Vec::new();
        requester.when(ANSWERED, RESPONSE, |letter| {
            letter.state = NONE;
            response = std::mem::take(&mut letter.buffer);
        });
        T::from_buffer(&response)
    }

    fn serve<T: Message>(responder: &Arc<L>, count: u64, mut handler: impl FnMut(T) -> T) {
        for _ in 0..count {
            let mut request = Vec::new();
            responder.when(ASKED, REQUEST, |letter| {
                request = std::mem::take(&mut letter.buffer);
            });
            let buffer = handler(T::from_buffer(&request)).to_buffer();
            responder.now(ANSWERED, |letter| {
                letter.state = RESPONSE;
                letter.buffer = buffer;
            });
        }
    }
}

/// The locks of `std`.
#[derive(Default)]
pub(crate) struct StdLocks {
    letter: Mutex<Letter>,
    conditions: [insula_sync::Condvar; 2],
}

impl Locks for StdLocks {
    fn when(&self, condition: usize, wanted: u32, change: impl FnOnce(&mut Letter)) {
        let mut letter = self.letter.lock();
        while letter.state != wanted {
            letter = self.conditions[condition].wait(letter);
        }
        change(&mut letter);
    }

    fn now(&self, notify: usize, change: impl FnOnce(&mut Letter)) {
        change(&mut self.letter.lock());
        self.conditions[notify].notify_one();
    }
}

#[derive(Default)]
pub(crate) struct ParkingLot {
    letter: parking_lot::Mutex<Letter>,
    conditions: [parking_lot::Condvar; 2],
}

impl Locks for ParkingLot {
    fn when(&self, condition: usize, wanted: u32, change: impl FnOnce(&mut Letter)) {
        let mut letter = self.letter.lock();
        while letter.state != wanted {
            self.conditions[condition].wait(&mut letter);
        }
        change(&mut letter);
    }

    fn now(&self, notify: usize, change: impl FnOnce(&mut Letter)) {
        change(&mut self.letter.lock());
        self.conditions[notify].notify_one();
    }
}

/// Two channels without capacity.
pub(crate) struct TwoChannels<C>(PhantomData<C>);

impl<C: ThreadChannel> Rendezvous for TwoChannels<C> {
    type Requester<T: Message> = (C::Tx<T>, C::Rx<T>);
    type Responder<T: Message> = (C::Tx<T>, C::Rx<T>);

    fn open<T: Message>() -> (Self::Requester<T>, Self::Responder<T>) {
        let (there, at_there) = C::open(Some(0));
        let (here, at_here) = C::open(Some(0));
        ((there, at_here), (here, at_there))
    }

    fn request<T: Message>((tx, rx): &Self::Requester<T>, message: T) -> T {
        C::send(tx, message);
        C::recv(rx).expect("the other side is there")
    }

    fn serve<T: Message>(
        (tx, rx): &Self::Responder<T>,
        count: u64,
        mut handler: impl FnMut(T) -> T,
    ) {
        for _ in 0..count {
            let request = C::recv(rx).expect("the other side is there");
            C::send(tx, handler(request));
        }
    }
}

/// A word that the kernel watches, and a place for the value beside it; no thread spins.
pub(crate) struct Futex;

pub(crate) struct Watched<T> {
    word: AtomicU32,
    /// Never contended: the word determines whose turn it is.
    value: Mutex<VecDeque<T>>,
}

impl<T> Watched<T> {
    fn hand_over(&self, value: T, state: u32) {
        self.value.lock().push_back(value);
        // Release; pairs with the Acquire in `wait_for`.
        self.word.store(state, Ordering::Release);
        futex::wake(&self.word, futex::Flags::PRIVATE, 1).expect("the word is there");
    }

    fn wait_for(&self, state: u32) -> T {
        loop {
            let now = self.word.load(Ordering::Acquire);
            if now == state {
                let value = self.value.lock().pop_front();
                return value.expect("handed over before the word changed");
            }
            // Interrupted, or changed before the thread slept: it checks again.
            let _ = futex::wait(&self.word, futex::Flags::PRIVATE, now, None);
        }
    }
}

impl Rendezvous for Futex {
    type Requester<T: Message> = Arc<Watched<T>>;
    type Responder<T: Message> = Arc<Watched<T>>;

    fn open<T: Message>() -> (Arc<Watched<T>>, Arc<Watched<T>>) {
        let watched = Arc::new(Watched {
            word: AtomicU32::new(NONE),
            value: Mutex::default(),
        });
        (watched.clone(), watched)
    }

    fn request<T: Message>(requester: &Arc<Watched<T>>, message: T) -> T {
        requester.hand_over(message, REQUEST);
        requester.wait_for(RESPONSE)
    }

    fn serve<T: Message>(responder: &Arc<Watched<T>>, count: u64, mut handler: impl FnMut(T) -> T) {
        for _ in 0..count {
            let request = responder.wait_for(REQUEST);
            responder.hand_over(handler(request), RESPONSE);
        }
    }
}
