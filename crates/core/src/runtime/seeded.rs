//! A scheduler for tests: one thread, an order chosen from a seed, virtual time.
//!
//! Isolates, lanes and event loops are those of the thread pool. Three things differ: the isolate
//! that runs next (any runnable one, chosen at random), the length of its slice (a random number
//! of turns), and the time. The clock stands still while anything can run, and jumps to the next
//! deadline when nothing can. So the same seed gives the same run, and a test of an hour's
//! time-outs takes no time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use insula_sync::atomic::{AtomicBool, Ordering};
use insula_sync::{Mutex, Parker};

use crate::event_loop::{Meter, run_slice};
use crate::memory::Runnable;
use crate::runtime::{Hosted, RuntimeCore};

/// The longest slice, in turns.
const MAX_TURNS: u64 = 4;

pub(crate) struct SeededScheduler {
    state: Mutex<State>,
    meter: Meter,
    /// The driver parks here. Unparked when an isolate is scheduled or the driver's future woken.
    parker: Parker,
}

struct State {
    /// Bounded by the number of isolates.
    queue: Vec<Runnable>,
    rng: Rng,
    /// The number of the thread that runs everything.
    driver: Option<u64>,
}

/// The splitmix64 generator of Steele, Lea and Flood (2014): one word of state, and good enough for
/// shuffling.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a random number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The bias of the remainder is far below what a shuffle could show.
        self.next() % end
    }
}

impl SeededScheduler {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            queue: Vec::new(),
            rng: Rng::new(seed),
            driver: None,
        };
        Self {
            state: Mutex::new(state),
            meter: Meter::default(),
            parker: Parker::new(),
        }
    }

    pub(crate) fn schedule(&self, runnable: Runnable) {
        self.state.lock().queue.push(runnable);
        self.parker.unpark();
    }

    fn pick(&self) -> Option<(Runnable, u32)> {
        let mut state = self.state.lock();
        let len = state.queue.len() as u64;
        if len == 0 {
            return None;
        }
        let index = state.rng.below(len) as usize;
        let turns = 1 + state.rng.below(MAX_TURNS) as u32;
        // The queue needs no order, since each pick is random.
        Some((state.queue.swap_remove(index), turns))
    }

    /// Runs one slice of one isolate. Returns `false` if none can run.
    fn step(&self) -> bool {
        let Some((runnable, turns)) = self.pick() else {
            return false;
        };
        let hosted = Hosted::begin(&runnable.core().runtime);
        let again = run_slice(runnable, &self.meter, turns);
        drop(hosted);
        if let Some(again) = again {
            self.state.lock().queue.push(again);
        }
        true
    }

    /// Returns whether the calling thread drives this runtime, or may become its driver.
    pub(crate) fn is_driven_here(&self) -> bool {
        let driver = self.state.lock().driver;
        driver.is_none_or(|driver| driver == insula_sync::thread_number())
    }

    /// Makes the calling thread the driver of this runtime.
    ///
    /// # Panics
    /// If another thread has driven this runtime before: isolates may have state on that thread
    /// that is not `Send`.
    fn claim(&self) {
        let this = insula_sync::thread_number();
        let driver = *self.state.lock().driver.get_or_insert(this);
        assert_eq!(
            driver, this,
            "a seeded runtime is driven by one thread only"
        );
    }
}

/// Runs all isolates that can run at the present time.
pub(crate) fn run_until_idle(seeded: &SeededScheduler) {
    seeded.claim();
    crate::panic::install_hook();
    while seeded.step() {}
}

struct Woken {
    flag: AtomicBool,
    runtime: Arc<RuntimeCore>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // Release pairs with the Acquire of the swap in `drive`: the poll sees what came before the
        // wake-up. Set before the token, so that the driver finds it when it returns from `park`.
        self.flag.store(true, Ordering::SeqCst);
        if let Some(seeded) = self.runtime.seeded() {
            seeded.parker.unpark();
        }
    }
}

/// Drives a seeded runtime until `future` is ready, and returns its output.
pub(crate) fn drive<F: Future>(runtime: &Arc<RuntimeCore>, future: F) -> F::Output {
    let Some(seeded) = runtime.seeded() else {
        unreachable!("only called for a seeded runtime");
    };
    seeded.claim();
    crate::panic::install_hook();
    let woken = Arc::new(Woken {
        flag: AtomicBool::new(true),
        runtime: runtime.clone(),
    });
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        // Acquire; pairs with the Release of the store in `Woken::wake`.
        if woken.flag.swap(false, Ordering::SeqCst)
            && let Poll::Ready(value) = future.as_mut().poll(&mut cx)
        {
            return value;
        }
        // Before a step: the poll itself, or another thread, may have woken the future again.
        if woken.flag.load(Ordering::SeqCst) || seeded.step() {
            continue;
        }
        match runtime.event_handler().next_due() {
            Some(due) => {
                runtime.clock().advance_to(due);
                runtime.event_handler().fire_due(runtime.clock().now());
            }
            // Nothing can run and nothing is due: only another thread can change that.
            None => seeded.parker.park(),
        }
    }
}
