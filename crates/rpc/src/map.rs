//! Many calls of one method, a bounded number of them at once.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::iter::Fuse;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_core::Stream;

use crate::call::{Call, start_all};
use crate::cell::CallCell;
use crate::contract::Method;
use crate::error::CallError;

/// Makes a call for each request and gives the answers as a stream.
///
/// At most 16 calls are on their way at once, unless
/// [`concurrency`](Map::concurrency) says otherwise. Requests are taken from the iterator when
/// there is room for more calls, and are submitted in batches, which costs much less than one call
/// after the other. The answers come in the order of the requests; see
/// [`unordered`](Map::unordered).
///
/// ```
/// # use std::convert::Infallible;
/// # use insula_core::{Isolate, block_on};
/// # use insula_rpc::{Context, Respond as _, contract, map, serve};
/// # #[contract(crate = insula_rpc)]
/// # trait Squares {
/// #     async fn square(&self, cx: &Context, number: u64) -> Result<u64, Infallible>;
/// # }
/// # struct Worker;
/// # impl Squares for Worker {
/// #     async fn square(&self, _cx: &Context, number: u64) -> Result<u64, Infallible> {
/// #         Ok(number * number)
/// #     }
/// # }
/// # let port = Isolate::spawn_with_port(|port| serve(port, SquaresResponder::new(Worker)));
/// # let caller = SquaresCaller::over(port);
/// block_on(async {
///     let mut squares = map(1..=3, |number| caller.square(number)).concurrency(2);
///     let mut sum = 0;
///     while let Some(square) = squares.next().await {
///         sum += square?;
///     }
///     assert_eq!(sum, 14);
/// #   Ok::<_, insula_rpc::CallError<Infallible, u64>>(())
/// })
/// # .unwrap();
/// ```
pub fn map<I, F, M>(requests: I, call: F) -> Map<I::IntoIter, F, M>
where
    I: IntoIterator,
    F: FnMut(I::Item) -> Call<M>,
    M: Method,
{
    Map {
        requests: requests.into_iter().fuse(),
        call,
        concurrency: 16,
        calls: VecDeque::new(),
        spare: Vec::new(),
        has_unsent: false,
        begun: 0,
    }
}

/// The stream of [`map`].
///
/// # Cancellation
/// Dropping it cancels the calls that are on their way. The others are never made.
#[must_use = "calls are made when the stream is polled"]
pub struct Map<I, F, M: Method> {
    requests: Fuse<I>,
    call: F,
    concurrency: usize,
    /// Those on their way, each with the index of its request, in the order of the requests.
    calls: VecDeque<(usize, Call<M>)>,
    /// The cells of calls that were answered, at most as many as calls may be on their way.
    spare: Vec<Arc<CallCell<M>>>,
    /// Calls were made and not yet sent.
    has_unsent: bool,
    /// The requests that were taken.
    begun: usize,
}

/// The answers of a [`Map`], each with the index of its request, in the order in which they come.
#[must_use = "calls are made when the stream is polled"]
pub struct Unordered<I, F, M: Method>(Map<I, F, M>);

type Answer<M> =
    Result<<M as Method>::Response, CallError<<M as Method>::Error, <M as Method>::Request>>;

// The calls are moved, never pinned.
impl<I, F, M: Method> Unpin for Map<I, F, M> {}
impl<I, F, M: Method> Unpin for Unordered<I, F, M> {}

impl<I, F, M> Map<I, F, M>
where
    I: Iterator,
    F: FnMut(I::Item) -> Call<M>,
    M: Method,
{
    /// Sets the number of calls that may be on their way at once, at least one.
    pub fn concurrency(mut self, calls: usize) -> Self {
        // With none at once, the stream would end without having made a call.
        self.concurrency = calls.max(1);
        self
    }

    /// Gives the answers in the order in which they come, each with the index of its request, so
    /// that a slow call does not hold up the answers of others.
    pub fn unordered(self) -> Unordered<I, F, M> {
        Unordered(self)
    }

    /// Returns the next answer: `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping the future loses no answer.
    pub async fn next(&mut self) -> Option<Answer<M>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the answers of all requests, and returns them in the order of the requests.
    ///
    /// Its caller is woken when there is room for another batch of calls and at the end, and not
    /// for each answer, which [`next`](Self::next) has to tell at once. So it is the cheaper way to
    /// answers that are of use together. A call with a deadline, or with any of the options that few
    /// calls have, is waited for when those before it were answered, as by `next`.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use insula_core::{Isolate, block_on};
    /// # use insula_rpc::{CallError, Context, Respond as _, contract, map, serve};
    /// # #[contract(crate = insula_rpc)]
    /// # trait Squares {
    /// #     async fn square(&self, cx: &Context, number: u64) -> Result<u64, Infallible>;
    /// # }
    /// # struct Worker;
    /// # impl Squares for Worker {
    /// #     async fn square(&self, _cx: &Context, number: u64) -> Result<u64, Infallible> {
    /// #         Ok(number * number)
    /// #     }
    /// # }
    /// # let port = Isolate::spawn_with_port(|port| serve(port, SquaresResponder::new(Worker)));
    /// # let caller = SquaresCaller::over(port);
    /// block_on(async {
    ///     let answers: Vec<_> = map(1..=3, |number| caller.square(number)).collect().await;
    ///     let squares: Vec<_> = answers.into_iter().collect::<Result<_, _>>()?;
    ///     assert_eq!(squares, [1, 4, 9]);
    /// #   Ok::<_, CallError<Infallible, u64>>(())
    /// })
    /// # .unwrap();
    /// ```
    ///
    /// # Cancellation
    /// Dropping the future cancels the calls that are on their way, and drops the answers that are
    /// there.
    pub async fn collect<C>(mut self) -> C
    where
        C: Default + Extend<Answer<M>>,
    {
        let mut answers = C::default();
        poll_fn(|cx| self.poll_all(cx, &mut answers)).await;
        answers
    }

    /// Moves the answers that are there to `answers`. Ready after the last one.
    fn poll_all(
        &mut self,
        cx: &mut task::Context<'_>,
        answers: &mut impl Extend<Answer<M>>,
    ) -> Poll<()> {
        loop {
            self.refill(cx, false);
            let Some((_, first)) = self.calls.front_mut() else {
                return Poll::Ready(());
            };
            if first.is_answered() || first.looks_elsewhere() {
                let answer = task::ready!(first.poll_keeping(cx, |cell| self.spare.push(cell)));
                self.calls.pop_front();
                answers.extend([answer]);
            } else {
                task::ready!(self.poll_room(cx));
            }
        }
    }

    /// Ready if the calls are answered that have to be before the next batch can begin, or before the
    /// end. Otherwise the last of them wakes, when most of the others are answered too.
    fn poll_room(&self, cx: &task::Context<'_>) -> Poll<()> {
        let half = self.concurrency / 2;
        // Not more than half after a refill: there are no other requests.
        let needed = match self.calls.len() {
            all if all <= half => all,
            all => all - half,
        };
        let needed = self.calls.range(..needed);
        let waiting = needed.map_while(|(_, call)| (!call.looks_elsewhere()).then_some(call));
        match waiting.filter(|call| !call.is_answered()).last() {
            Some(last) => last.poll_is_answered(cx.waker()),
            None => Poll::Ready(()),
        }
    }

    /// Begins calls, if there is room for enough of them to make a batch worth it.
    fn refill(&mut self, cx: &task::Context<'_>, wakes_each: bool) {
        let mut before = self.calls.len();
        if self.has_unsent {
            // The iterator or the closure has panicked, after these calls were made.
            before = 0;
        } else if before > self.concurrency / 2 {
            return;
        }
        self.has_unsent = true;
        let room = self.concurrency.saturating_sub(self.calls.len());
        for request in self.requests.by_ref().take(room) {
            let call = (self.call)(request);
            // Here, where it costs one answer; in the queue it would hide those behind it.
            assert!(
                !call.is_over(),
                "a call was given to a map after its answer"
            );
            self.calls.push_back((self.begun, call));
            self.begun += 1;
        }
        let new = self.calls.range_mut(before..).map(|(_, call)| call);
        start_all(new, wakes_each.then(|| cx.waker()), &mut self.spare);
        self.has_unsent = false;
    }
}

impl<I, F, M> Stream for Map<I, F, M>
where
    I: Iterator,
    F: FnMut(I::Item) -> Call<M>,
    M: Method,
{
    type Item = Answer<M>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Answer<M>>> {
        let this = &mut *self;
        // Only the answer of the first call is waited for.
        this.refill(cx, false);
        let Some((_, first)) = this.calls.front_mut() else {
            return Poll::Ready(None);
        };
        let answer = task::ready!(first.poll_keeping(cx, |cell| this.spare.push(cell)));
        this.calls.pop_front();
        Poll::Ready(Some(answer))
    }
}

impl<I, F, M> Unordered<I, F, M>
where
    I: Iterator,
    F: FnMut(I::Item) -> Call<M>,
    M: Method,
{
    /// Returns the next answer and the index of its request: `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping the future loses no answer.
    pub async fn next(&mut self) -> Option<(usize, Answer<M>)> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<I, F, M> Stream for Unordered<I, F, M>
where
    I: Iterator,
    F: FnMut(I::Item) -> Call<M>,
    M: Method,
{
    type Item = (usize, Answer<M>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let map = &mut self.0;
        map.refill(cx, true);
        if map.calls.is_empty() {
            return Poll::Ready(None);
        }
        for index in 0..map.calls.len() {
            let (request, call) = &mut map.calls[index];
            // Only what is there, or has to be looked at for its own sake, is worth a poll.
            if call.needs_poll(cx.waker())
                && let Poll::Ready(answer) = call.poll_keeping(cx, |cell| map.spare.push(cell))
            {
                let answer = (*request, answer);
                // Their order is of no importance here, so that at most one other call is moved.
                map.calls.swap_remove_front(index);
                return Poll::Ready(Some(answer));
            }
        }
        Poll::Pending
    }
}

impl<I, F, M: Method> fmt::Debug for Map<I, F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("concurrency", &self.concurrency)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl<I, F, M: Method> fmt::Debug for Unordered<I, F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unordered").field(&self.0).finish()
    }
}
