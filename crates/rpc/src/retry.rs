//! Making a call again, or twice.
//!
//! A call that was refused or whose worker ended before it started can always be made again: it has
//! not run. One that may have run is made again only if its method is [`Idempotent`]. An error of
//! the handler, a deadline and a cancellation are answers, and are never repeated. A call whose
//! answer is a stream is repeated until the stream is open; what happens to its items is the
//! caller's matter.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_core::{Instant, sleep};
use insula_sync::{Mutex, thread_cell, thread_number};

use crate::call::Call;
use crate::contract::{Idempotent, Method};
use crate::error::{CallError, Outcome, Reject};

type Answer<M> =
    Result<<M as Method>::Response, CallError<<M as Method>::Error, <M as Method>::Request>>;

/// The policy by which [`retry`] makes a call again: how often, and how fast.
///
/// The first repetition comes after [`backoff`](Self::backoff)'s first pause, and each pause is
/// twice as long as the one before, up to the longest. A pause is shortened by up to a half, by
/// chance, so that callers that failed together do not come back together. A call that was rejected
/// by a [rate limit](Reject::RateLimited) is not made again before the time that the error names.
#[derive(Debug, Clone)]
#[must_use = "a policy is for `retry`"]
pub struct Retry {
    attempts: u32,
    first: Duration,
    longest: Duration,
    time: Option<Duration>,
    budget: Option<RetryBudget>,
}

impl Retry {
    /// Makes the call up to so many times, the first time included.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            first: Duration::from_millis(10),
            longest: Duration::from_secs(1),
            time: None,
            budget: None,
        }
    }

    /// Sets the first and the longest pause between two attempts. The default is 10 ms and 1 s.
    pub fn backoff(self, first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            ..self
        }
    }

    /// Gives all attempts and pauses this much time together. Each attempt gets what is left as its
    /// deadline, unless its own is earlier.
    pub fn within(self, time: Duration) -> Self {
        let time = Some(time);
        Self { time, ..self }
    }

    /// Takes repetitions from a budget, which callers share.
    pub fn budget(self, budget: &RetryBudget) -> Self {
        let budget = Some(budget.clone());
        Self { budget, ..self }
    }

    /// The pause before an attempt, counted from 1.
    fn pause(&self, attempt: u32) -> Duration {
        // From the 33rd repetition on the bit would be shifted out: the pause doubles no more.
        let doubled = 1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
        let pause = self.first.saturating_mul(doubled).min(self.longest);
        // Between a half and all of it.
        pause.mul_f64(0.5 + 0.5 * chance())
    }
}

/// Limits how much of the load repetitions may be, so that they do not keep an overloaded service
/// down. Cheap to clone; clones share the budget.
///
/// It holds tokens, as gRPC's retry throttling does (proposal A6): each failed attempt takes one,
/// each success gives `gain` back, and while no more than half of the tokens are left, calls are
/// not repeated.
#[derive(Clone)]
pub struct RetryBudget(Arc<Tokens>);

struct Tokens {
    most: f64,
    gain: f64,
    // Behind a lock, since there is no atomic `f64`.
    left: Mutex<f64>,
}

impl RetryBudget {
    /// Makes a full budget of `tokens`, of which a success gives `gain` back. With 10 and 0.1, four
    /// failures in a row are repeated, and then each ten successes earn one repetition.
    pub fn new(tokens: u32, gain: f32) -> Self {
        let most = f64::from(tokens);
        Self(Arc::new(Tokens {
            most,
            // A negative gain would make successes cost tokens, and NaN would fill the budget.
            gain: f64::from(gain).max(0.0),
            left: Mutex::new(most),
        }))
    }

    /// Counts a failure. Returns whether the call may be repeated.
    fn fail(&self) -> bool {
        let mut left = self.0.left.lock();
        *left = (*left - 1.0).max(0.0);
        *left > self.0.most / 2.0
    }

    fn succeed(&self) {
        let mut left = self.0.left.lock();
        *left = (*left + self.0.gain).min(self.0.most);
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("left", &*self.0.left.lock())
            .finish_non_exhaustive()
    }
}

/// Makes a call, and makes it again as `policy` says if it has not run, or if it may have run and
/// its method is [`Idempotent`].
///
/// `call` is asked for each attempt, with the number of those before it, which the handler sees in
/// its context. Give all attempts the same [idempotency key](Call::idempotency_key) if the service
/// wants to recognize them.
///
/// # Cancellation
/// Dropping the future cancels the attempt that is on its way.
///
/// # Errors
/// As the last attempt.
pub async fn retry<M: Method>(policy: &Retry, mut call: impl FnMut(u32) -> Call<M>) -> Answer<M> {
    let end = policy.time.map(|time| Instant::now() + time);
    let mut attempt = 0;
    loop {
        let mut made = call(attempt);
        // A handler sees 0 without an envelope, so that the first attempt needs none.
        if attempt > 0 {
            made = made.attempt(attempt);
        }
        if let Some(end) = end {
            made.limit(end.saturating_duration_since(Instant::now()));
        }
        let error = match made.await {
            Ok(response) => {
                if let Some(budget) = &policy.budget {
                    budget.succeed();
                }
                return Ok(response);
            }
            Err(error) => error,
        };
        attempt += 1;
        // Before the budget: an answer says nothing about the load, and takes no token.
        if !is_repeatable::<M>(&error) {
            return Err(error);
        }
        // Asked after the last attempt too, since its failure counts for the other callers.
        let has_budget = policy.budget.as_ref().is_none_or(RetryBudget::fail);
        if !has_budget || attempt >= policy.attempts {
            return Err(error);
        }
        let pause = policy.pause(attempt).max(at_least(&error));
        // An attempt after this pause would have no time left.
        if end.is_some_and(|end| Instant::now() + pause >= end) {
            return Err(error);
        }
        sleep(pause).await;
    }
}

fn is_repeatable<M: Method>(error: &CallError<M::Error, M::Request>) -> bool {
    let may_run_twice = M::DESCRIPTOR.is_idempotent;
    match error {
        // A pool that shuts down, or has no worker left, stays like that, and a request its size.
        CallError::Rejected { why, .. } => matches!(
            why,
            Reject::QueueFull | Reject::Shed | Reject::RateLimited { .. }
        ),
        CallError::WorkerDied { outcome, .. } => *outcome == Outcome::NotStarted || may_run_twice,
        CallError::Panicked { .. } => may_run_twice,
        _ => false,
    }
}

/// The pause that the callee asks for.
fn at_least<E, Q>(error: &CallError<E, Q>) -> Duration {
    match error {
        CallError::Rejected {
            why: Reject::RateLimited { retry_after },
            ..
        } => *retry_after,
        _ => Duration::ZERO,
    }
}

/// Makes a call, and the same call once more if there is no answer after a time; the first answer
/// counts, and the other call is cancelled. For calls whose slowest answers matter: choose a time
/// that few calls take, such as their 95th percentile. If the first call fails before that time, there
/// is no second one: this is for answers that are slow, and [`retry`] repeats what has failed.
///
/// `call` is asked for each, with the number of those before it.
///
/// # Cancellation
/// Dropping the future cancels both.
///
/// # Errors
/// As the call that failed, or as the last of two.
pub async fn hedge<M: Idempotent>(
    after: Duration,
    mut call: impl FnMut(u32) -> Call<M>,
) -> Answer<M> {
    let mut calls = [Some(call(0)), None];
    let mut timer = Some(Box::pin(sleep(after)));
    poll_fn(|cx| {
        // Before the calls are polled, so that the second one is sent in the same turn.
        if let Some(waiting) = &mut timer
            && waiting.as_mut().poll(cx).is_ready()
        {
            timer = None;
            calls[1] = Some(call(1).attempt(1));
        }
        for index in 0..calls.len() {
            let Some(running) = &mut calls[index] else {
                continue;
            };
            if let Poll::Ready(answer) = Pin::new(running).poll(cx) {
                calls[index] = None;
                // A first call that fails before the second was made ends both: this is for answers
                // that are slow, and not a repetition.
                if answer.is_ok() || calls.iter().all(Option::is_none) {
                    return Poll::Ready(answer);
                }
            }
        }
        Poll::Pending
    })
    .await
}

thread_cell! {
    /// The numbers that this thread has had from `chance`.
    static DRAWN: u64 = 0;
}

/// A number from 0 to 1, another one each time: splitmix64 of a counter and the thread, which is
/// enough to part callers, and repeats itself in a seeded run.
fn chance() -> f64 {
    let drawn = DRAWN.with(|drawn| drawn.replace(drawn.get() + 1));
    let seed = thread_number() << 32 | (drawn & u64::from(u32::MAX));
    let mut mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let policy = Retry::attempts(10).backoff(ms(20), ms(120));
        for (attempt, full) in [(1, 20), (2, 40), (3, 80), (4, 120), (99, 120)] {
            let pause = policy.pause(attempt);
            assert!(
                pause >= ms(full) / 2 && pause <= ms(full),
                "{attempt}: {pause:?}"
            );
        }
    }

    #[test]
    fn a_budget_runs_dry_and_is_earned_back() {
        let budget = RetryBudget::new(4, 0.5);
        assert!(budget.fail());
        assert!(!budget.fail(), "half of it is left");
        for _ in 0..20 {
            budget.succeed();
        }
        assert!(budget.fail(), "it is full again, and no more than full");
        assert!(!budget.fail());
    }

    #[test]
    fn a_policy_takes_from_the_budget_that_it_was_given() {
        let budget = RetryBudget::new(2, 0.0);
        let policy = Retry::attempts(2).budget(&budget);
        let own = policy.budget.unwrap();
        assert!(Arc::ptr_eq(&own.0, &budget.0));
    }
}
