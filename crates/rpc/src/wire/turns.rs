//! Work for which any thread may be woken, and which one thread at a time does.
//!
//! ```text
//!            wake                wake
//!   Idle ──────────► Working ──────────► Working again
//!    ▲                 │ │ ▲                  │
//!    └───── rest ──────┘ │ └────── rest ──────┘
//!                        └── end ──► Over
//! ```
//!
//! The thread that finds the work idle takes it, does it, and lets it rest. A wake-up that comes
//! meanwhile is noted, and the thread that works gets the work back when it wants to rest. So each
//! wake-up is followed by a look at the work that begins after it.

use insula_sync::Mutex;

/// Work, and whether a thread does it.
pub(crate) struct Turns<W>(Mutex<State<W>>);

enum State<W> {
    /// Nothing is to be done until a wake-up.
    Idle(W),
    /// A thread has the work.
    Working {
        /// There was a wake-up meanwhile.
        again: bool,
    },
    /// There is no more work.
    Over,
}

impl<W> Turns<W> {
    /// Begins with the work at the calling thread.
    pub(crate) fn working() -> Self {
        Self(Mutex::new(State::Working { again: false }))
    }

    /// Takes the work, if no thread does it.
    pub(crate) fn wake(&self) -> Option<W> {
        let mut state = self.0.lock();
        let next = match &*state {
            State::Idle(_) => State::Working { again: false },
            State::Working { .. } => State::Working { again: true },
            State::Over => State::Over,
        };
        match std::mem::replace(&mut *state, next) {
            State::Idle(work) => Some(work),
            State::Working { .. } | State::Over => None,
        }
    }

    /// Lets the work rest. Returns it if there was a wake-up since it was taken or returned.
    #[must_use]
    pub(crate) fn rest(&self, work: W) -> Option<W> {
        let mut state = self.0.lock();
        match &mut *state {
            State::Working { again } if *again => {
                *again = false;
                Some(work)
            }
            _ => {
                *state = State::Idle(work);
                None
            }
        }
    }

    /// Says that there is no more work.
    pub(crate) fn end(&self) {
        *self.0.lock() = State::Over;
    }
}
