//! Blocking callbacks: the caller waits for the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::CallbackError;
use super::line::{EndFlag, Line};
use super::wait::Wait;
use crate::blocking::{Deadline, Deadlock, Spin, WaitError, check_seeded, deadline_in};

/// A callback whose caller, on any thread, waits for the isolate's answer. Cheap to clone.
///
/// # Ordering
/// As for [`ListenerCallback`](super::ListenerCallback): each call is an event of the isolate.
///
/// # Blocking
/// The calling thread spins for a moment and then sleeps. An isolate that calls gives up its
/// thread's place in the pool while it waits, and handles no messages meanwhile.
///
/// # Cancellation
/// A call whose caller gave up before the call's turn is dropped. A kill of an isolate that waits
/// unwinds out of the wait.
///
/// # Virtual time
/// On a seeded runtime, which stands still during a wait, a call is refused and not posted. As for
/// [`WaitError::Seeded`], this concerns the isolate's runtime, or, outside of isolates, the one
/// that the thread has entered last.
///
/// ```
/// # insula_core::block_on(async {
/// use insula_core::{BlockingCallback, Isolate};
/// let answers = Isolate::run_async(async || {
///     let mut calls = 0;
///     let add = BlockingCallback::new(move |n: u32| {
///         calls += 1;
///         n + calls
///     });
///     let (send, answers) = insula_core::one_shot();
///     std::thread::spawn(move || send.send((add.call(10), add.call(10))));
///     answers.await
/// });
/// assert_eq!(answers.await, Ok(Ok((Ok(11), Ok(12)))));
/// # });
/// ```
pub struct BlockingCallback<T: Send + 'static, R: Send + 'static> {
    line: Line<Question<T, R>>,
    /// Decides whether a wait begins with a spin, by whether recent spins succeeded.
    spin: Arc<Spin>,
}

struct Question<T, R: Send + 'static> {
    argument: T,
    reply: CallbackReply<R>,
}

/// The right to answer one blocking call, once. Dropping it reports to the caller that there is no
/// answer.
pub struct CallbackReply<R: Send + 'static> {
    /// `None` once it has been used.
    wait: Option<Arc<Wait<Result<R, Lost>>>>,
    end: Arc<EndFlag>,
}

/// The reason for which a call has no answer.
enum Lost {
    Closed,
    PeerDied,
    NoReply,
}

impl<T: Send + 'static, R: Send + 'static> BlockingCallback<T, R> {
    /// Creates a callback of the current isolate, which answers with the return value of `handler`.
    ///
    /// A panic of `handler` is an error of the isolate, as in any event. The caller then gets
    /// [`CallbackError::PeerDied`], or, if the error is not fatal, [`CallbackError::NoReply`].
    ///
    /// # Panics
    /// If there is no current isolate.
    #[track_caller]
    pub fn new(mut handler: impl FnMut(T) -> R + Send + 'static) -> Self {
        Self::open(move |argument, reply| reply.send(handler(argument)))
    }

    /// Like [`new`](Self::new), for a handler that may answer later: in a later turn, or on another
    /// thread.
    ///
    /// # Panics
    /// If there is no current isolate.
    #[track_caller]
    pub fn with_reply(mut handler: impl FnMut(T, CallbackReply<R>) + Send + 'static) -> Self {
        Self::open(move |argument, reply: CallbackReply<R>| {
            // From now on any party may answer, so the caller's wait must not count as one for this
            // isolate.
            reply.cell().hand_on();
            handler(argument, reply);
        })
    }

    #[track_caller]
    fn open(mut handler: impl FnMut(T, CallbackReply<R>) + Send + 'static) -> Self {
        let call = move |Question { argument, reply }: Question<T, R>| {
            if reply.cell().begin() {
                handler(argument, reply);
            }
        };
        Self {
            line: Line::open(call),
            spin: Arc::default(),
        }
    }

    /// Calls and waits for the answer.
    ///
    /// # Errors
    /// A [`CallbackError`] if there is no answer. It is a [`WaitError::Deadlock`] if the
    /// callback's isolate cannot answer because it waits for the calling isolate, or is it.
    pub fn call(&self, argument: T) -> Result<R, CallbackError<T>> {
        self.call_until(argument, None)
    }

    /// Calls and waits for the answer, for at most `timeout`.
    ///
    /// # Errors
    /// As for [`call`](Self::call), and [`WaitError::TimedOut`].
    pub fn call_timeout(&self, argument: T, timeout: Duration) -> Result<R, CallbackError<T>> {
        self.call_until(argument, deadline_in(timeout))
    }

    fn call_until(&self, argument: T, deadline: Deadline) -> Result<R, CallbackError<T>> {
        if self.is_closed() {
            return Err(CallbackError::Closed(Some(argument)));
        }
        if let Err(refused) = self.refuse_here() {
            // Dropped here, where a panic of its destructor drops `refused` too: a panic of a value
            // that is dropped on return leaks the return value (rust-lang/rust#47949).
            drop(argument);
            return Err(refused);
        }
        let end = self.line.end();
        let wait = Arc::new(Wait::new(end.isolate()));
        let reply = CallbackReply {
            wait: Some(wait.clone()),
            end: end.clone(),
        };
        self.line
            .post(Question { argument, reply })
            .map_err(|question| CallbackError::Closed(Some(question.take_back())))?;
        match wait.wait(&self.spin, deadline) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Lost::Closed)) => Err(CallbackError::Closed(None)),
            Ok(Err(Lost::PeerDied)) => Err(CallbackError::PeerDied),
            Ok(Err(Lost::NoReply)) => Err(CallbackError::NoReply),
            Err(error) => Err(CallbackError::Wait(error)),
        }
    }

    /// Refuses a call that can never be answered, before it is posted.
    fn refuse_here(&self) -> Result<(), CallbackError<T>> {
        let own = self.line.end().in_isolate(|isolate| isolate.name());
        if let Some(name) = own {
            return Err(CallbackError::Wait(WaitError::Deadlock(Deadlock {
                names: vec![name],
            })));
        }
        // `wait` would refuse it too, but only after the call has been posted.
        check_seeded().map_err(CallbackError::Wait)
    }

    /// Closes the callback, from any thread. Later calls fail, calls whose turn has not begun are
    /// dropped and their callers get an error, and calls whose turn has begun are answered. Returns
    /// whether the callback was open.
    pub fn close(&self) -> bool {
        self.line.close()
    }

    impl_line!(line);
}

impl<T: Send + 'static, R: Send + 'static> Clone for BlockingCallback<T, R> {
    fn clone(&self) -> Self {
        Self {
            line: self.line.clone(),
            spin: self.spin.clone(),
        }
    }
}

impl<T: Send + 'static, R: Send + 'static> fmt::Debug for BlockingCallback<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingCallback").field(&self.line).finish()
    }
}

impl<T, R: Send + 'static> Question<T, R> {
    /// Returns the argument of a call that was not posted. No caller waits for its answer, so the
    /// reply is dropped without settling.
    fn take_back(mut self) -> T {
        self.reply.wait = None;
        self.argument
    }
}

impl<R: Send + 'static> CallbackReply<R> {
    /// Answers the call, from any thread. If the caller no longer waits, the value is dropped.
    pub fn send(mut self, value: R) {
        if let Some(wait) = self.wait.take() {
            wait.settle(Ok(value));
        }
    }

    fn cell(&self) -> &Wait<Result<R, Lost>> {
        match &self.wait {
            Some(wait) => wait,
            None => unreachable!("only `send` and `drop` take it"),
        }
    }

    /// Returns the reason for which a reply is dropped without an answer.
    fn lost(end: &EndFlag, wait: &Wait<Result<R, Lost>>) -> Lost {
        if end.is_closed() && !wait.has_begun() {
            return Lost::Closed;
        }
        // A panic on its way to the event loop will end the isolate there, if it is fatal.
        let panicking = std::thread::panicking();
        let dies = end.in_isolate(|isolate| {
            let flags = &isolate.local().flags;
            flags.dying.get() || flags.ending.get() || panicking && isolate.errors_are_fatal()
        });
        if dies.unwrap_or(false) {
            Lost::PeerDied
        } else {
            Lost::NoReply
        }
    }
}

impl<R: Send + 'static> Drop for CallbackReply<R> {
    fn drop(&mut self) {
        if let Some(wait) = self.wait.take() {
            let lost = Self::lost(&self.end, &wait);
            wait.settle(Err(lost));
        }
    }
}

impl<R: Send + 'static> fmt::Debug for CallbackReply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackReply(..)")
    }
}
