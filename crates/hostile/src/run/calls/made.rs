//! Calls on the side of their callers, whatever their method.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use futures_core::Stream;
use insula_core::Instant;
use insula_rpc::{
    Call, CallError, ClientStreaming, Context, Inbound, Method, Outcome, Receipt, Reject,
    ReplyStream, StreamingCall,
};

use super::contract::{AloneCaller, Goods, Request, SharedCaller};
use crate::oracle::{Books, End, Ledger, Told};
use crate::program::{Cargo, Entry, Key, Limit, Order, Slot, Sort, Terms};
use crate::run::world::{At, KeptFuture};

/// Makes calls to one endpoint.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(super) to: Contract,
    pub(super) books: Arc<Books>,
}

#[derive(Clone)]
pub(super) enum Contract {
    Shared(SharedCaller),
    Alone(AloneCaller),
}

/// A stream that answers a call, and the number of the call.
pub(crate) type Answers = (usize, ReplyStream<Goods, Goods>);

/// A call that its caller keeps.
pub(crate) trait Kept: Send {
    /// Returns whether each of its waits ends with a wake-up, and none at a time.
    fn is_exact(&self) -> bool;
    /// Sends it.
    fn start(self: Box<Self>) -> Box<dyn Kept>;
    /// Sends it if there is room for it.
    fn try_start(self: Box<Self>) -> Option<Box<dyn Kept>>;
    /// Lets it run by itself.
    fn detach(self: Box<Self>);
    /// Waits for it, with the thread.
    fn block(self: Box<Self>);
    /// Waits for it.
    fn wait(self: Box<Self>) -> KeptFuture;
    /// Waits for it and for the details of its answer.
    fn wait_for_details(self: Box<Self>) -> KeptFuture;
    /// Cancels it and waits for its handler.
    fn cancel(self: Box<Self>) -> KeptFuture;
    /// Waits for it with the thread, but not for longer than `time`. A call that was sent can have
    /// no deadline any more: it is given up.
    fn block_for(self: Box<Self>, time: Duration);
}

/// A method of either contract.
pub(super) trait Kind: Method<Request: Asked, Response: Answer, Error = Goods> {}

impl<M: Method<Request: Asked, Response: Answer, Error = Goods>> Kind for M {}

/// The requests that methods take.
pub(super) trait Asked {
    fn call(&self) -> usize;
}

impl Asked for Request {
    fn call(&self) -> usize {
        self.goods.call
    }
}

impl Asked for (Request, Inbound<Goods>) {
    fn call(&self) -> usize {
        self.0.goods.call
    }
}

/// The responses that methods give.
pub(super) trait Answer {
    /// Says what such an answer tells about the handler.
    const END: End;
    fn take(self, record: &Record);
}

impl Answer for Goods {
    const END: End = End::Over;

    fn take(self, record: &Record) {
        self.arrives(record.call);
    }
}

impl Answer for ReplyStream<Goods, Goods> {
    const END: End = End::Streams;

    fn take(self, record: &Record) {
        let world = &record.at.world;
        world.streams.put(record.stream, (record.call, self));
    }
}

/// The record of a call. Its drop says that the caller has let go of the call.
pub(super) struct Record {
    at: At,
    pub(super) call: usize,
    books: Arc<Books>,
    stream: Slot,
    is_made: bool,
    /// It has a deadline.
    is_timed: bool,
    /// It was detached.
    runs_on: bool,
    /// The deadline, if the handler must not go on after it.
    deadline: Option<Duration>,
}

type Outcomes<M> = Result<<M as Method>::Response, CallError<Goods, <M as Method>::Request>>;

impl Record {
    /// Records that the call is about to be made.
    pub(super) fn begins(&mut self) {
        if !std::mem::replace(&mut self.is_made, true) {
            self.books.count(Told::Made);
            let ledger = &self.at.world.ledger;
            if let Some(time) = self.deadline
                && self.at.world.has_clock_here()
            {
                ledger.call_has_deadline(self.call, Instant::now() + time);
            }
        }
    }

    /// Records how the call ended.
    pub(super) fn ends<M: Kind>(self, outcome: Outcomes<M>) {
        match outcome {
            Ok(answer) => {
                self.tell(M::Response::END);
                if M::Response::END == End::Over {
                    self.books.count(Told::Answered);
                }
                answer.take(&self);
            }
            Err(error) => self.fails::<M>(error),
        }
    }

    fn tell(&self, end: End) {
        self.at.world.ledger.call_ends(self.call, end);
    }

    fn fails<M: Kind>(self, error: CallError<Goods, M::Request>) {
        let outcome = error.outcome();
        self.tell(match (&error, outcome) {
            (CallError::Panicked { .. }, _) | (_, Outcome::Executed) => End::Over,
            (_, Outcome::NotStarted) => End::NotStarted,
            (_, Outcome::MaybeExecuted) => End::Unknown,
        });
        match (&error, outcome) {
            (CallError::App(_), _) => self.books.count(Told::Failed),
            (CallError::Panicked { .. }, _) => self.books.count(Told::Panicked),
            (CallError::WorkerDied { .. }, Outcome::MaybeExecuted) => {
                self.books.count(Told::Died);
            }
            (
                CallError::Rejected {
                    why: Reject::Shed, ..
                },
                _,
            ) => self.books.count(Told::Shed),
            (CallError::Rejected { .. }, _) => self.books.count(Told::Rejected),
            _ => {}
        }
        match error {
            CallError::App(error) => error.arrives(self.call),
            other => {
                let request = other.into_request();
                let is_back = request.is_some();
                if is_back != (outcome == Outcome::NotStarted) {
                    let back = if is_back { "came back" } else { "was lost" };
                    self.fault(&format!("ended as {outcome}, and its request {back}"));
                }
                self.is_back::<M>(request);
            }
        }
    }

    /// Records what became of a call that was cancelled.
    fn has_receipt<M: Kind>(self, receipt: Receipt<M::Response, Goods, M::Request>) {
        match receipt {
            Receipt::NotStarted(request) => {
                self.tell(End::NotStarted);
                self.is_back::<M>(request);
            }
            Receipt::Stopped => self.tell(End::Over),
            Receipt::Ended(outcome) => self.ends::<M>(outcome),
            _ => self.fault("has an unknown receipt"),
        }
    }

    /// Records that the request came back.
    fn is_back<M: Kind>(&self, request: Option<M::Request>) {
        let other = request
            .as_ref()
            .map(Asked::call)
            .filter(|call| *call != self.call);
        if let Some(other) = other {
            self.fault(&format!("got the request of call {other} back"));
        }
    }

    fn fault(&self, what: &str) {
        let call = self.call;
        self.at.world.ledger.fault(format!("call {call} {what}"));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let ledger = &self.at.world.ledger;
        if !self.is_made {
            ledger.call_is_not_made(self.call);
        } else if !self.runs_on {
            ledger.call_is_left(self.call);
        }
    }
}

/// A call and its record.
struct Made<M: Kind> {
    // Dropped before the record.
    call: Call<M>,
    record: Record,
}

impl<M: Kind> Made<M> {
    fn begun(mut self) -> (Call<M>, Record) {
        self.record.begins();
        (self.call, self.record)
    }
}

impl<M: Kind> Kept for Made<M> {
    fn is_exact(&self) -> bool {
        !self.record.is_timed
    }

    fn start(self: Box<Self>) -> Box<dyn Kept> {
        let (call, record) = self.begun();
        let call = call.start();
        Box::new(Self { call, record })
    }

    fn try_start(self: Box<Self>) -> Option<Box<dyn Kept>> {
        let (call, record) = self.begun();
        match call.try_start() {
            Ok(call) => Some(Box::new(Self { call, record })),
            Err(refused) => {
                record.fails::<M>(refused);
                None
            }
        }
    }

    fn detach(self: Box<Self>) {
        let (call, mut record) = self.begun();
        record.runs_on = true;
        if let Err(refused) = call.detach() {
            record.fails::<M>(refused);
        }
    }

    fn block(self: Box<Self>) {
        let (call, record) = self.begun();
        let outcome = call.blocking();
        record.ends::<M>(outcome);
    }

    fn wait(self: Box<Self>) -> KeptFuture {
        Box::pin(async move {
            let (call, record) = self.begun();
            let outcome = call.await;
            record.ends::<M>(outcome);
        })
    }

    fn wait_for_details(self: Box<Self>) -> KeptFuture {
        Box::pin(async move {
            let (call, record) = self.begun();
            let outcome = call.detailed().await.map(|detailed| detailed.value);
            record.ends::<M>(outcome);
        })
    }

    fn cancel(self: Box<Self>) -> KeptFuture {
        Box::pin(async move {
            let Self { call, record } = *self;
            let receipt = call.cancel_and_wait().await;
            record.has_receipt::<M>(receipt);
        })
    }

    fn block_for(self: Box<Self>, time: Duration) {
        if self.record.is_made {
            return;
        }
        let Self { call, record } = *self;
        let call = call.deadline(time);
        Box::new(Self { call, record }).block();
    }
}

/// Sets the options of a call, with items or without.
macro_rules! set_options {
    ($call:expr, $terms:expr, $at:expr, $within:expr) => {{
        let (mut call, terms, at) = ($call, $terms, $at);
        let within: Option<&Context> = $within;
        call = match &terms.deadline {
            Limit::Never() => call,
            Limit::Passed() => call.deadline(Duration::ZERO),
            Limit::Soon(ms) => call.deadline(Duration::from_millis(u64::from(ms.0))),
            Limit::Latest() => call.deadline(Duration::MAX),
        };
        if let Key::Pinned(key) = &terms.key {
            call = call.key(key.0);
        }
        if terms.admission == Entry::AtOnce() {
            call = call.no_wait();
        }
        if !terms.on_progress.0.is_empty() {
            let hook = at.hook(&terms.on_progress.0);
            call = call.on_progress(move |_| hook.run());
        }
        match within {
            Some(cx) => call.within(cx),
            None => call,
        }
    }};
}

/// The making of one call.
struct Maker<'a> {
    at: &'a At,
    caller: &'a Caller,
    terms: &'a Terms,
    order: &'a Order,
    within: Option<&'a Context>,
}

impl Maker<'_> {
    fn request<M: Kind>(&self, stream: Slot) -> (Request, Record) {
        let call = self.at.world.ledger.call();
        let record = Record {
            at: self.at.clone(),
            call,
            books: Arc::clone(&self.caller.books),
            stream,
            is_made: false,
            is_timed: self.terms.deadline != Limit::Never(),
            runs_on: false,
            // The deadline is over once a stream is open.
            deadline: match &self.terms.deadline {
                _ if M::Response::END == End::Streams => None,
                Limit::Passed() => Some(Duration::ZERO),
                Limit::Soon(ms) => Some(Duration::from_millis(u64::from(ms.0))),
                Limit::Never() | Limit::Latest() => None,
            },
        };
        let request = Request::new(self.order, call, self.at, &self.caller.books);
        (request, record)
    }

    fn plain<M: Kind>(&self, stream: Slot, make: impl FnOnce(Request) -> Call<M>) -> Box<dyn Kept> {
        let (request, record) = self.request::<M>(stream);
        let call = set_options!(make(request), self.terms, self.at, self.within);
        Box::new(Made { call, record })
    }

    fn opened<M>(
        &self,
        sender: Slot,
        stream: Slot,
        make: impl FnOnce(Request) -> StreamingCall<M>,
    ) -> Box<dyn Kept>
    where
        M: Kind + ClientStreaming<Sent = Goods>,
    {
        let (request, mut record) = self.request::<M>(stream);
        let call = set_options!(make(request), self.terms, self.at, self.within);
        record.begins();
        let (items, call) = call.open();
        self.at.world.senders.put(sender, (record.call, items));
        Box::new(Made { call, record })
    }

    fn with_items<M>(
        &self,
        items: Items,
        make: impl FnOnce(Request) -> StreamingCall<M>,
    ) -> KeptFuture
    where
        M: Kind + ClientStreaming<Sent = Goods>,
    {
        let (request, mut record) = self.request::<M>(Slot(0));
        let call = set_options!(make(request), self.terms, self.at, self.within);
        let items = Items {
            call: record.call,
            ..items
        };
        Box::pin(async move {
            record.begins();
            let outcome = call.send_all(items).await;
            record.ends::<M>(outcome);
        })
    }

    fn keep(&self, sort: &Sort) -> Box<dyn Kept> {
        let first = Slot(0);
        match (&self.caller.to, sort) {
            // Two arms for each sort, since the methods of the two contracts are different types.
            (Contract::Shared(to), Sort::Unary()) => self.plain(first, |it| to.unary(it)),
            (Contract::Alone(to), Sort::Unary()) => self.plain(first, |it| to.unary(it)),
            (Contract::Shared(to), Sort::Download(slot)) => self.plain(*slot, |it| to.download(it)),
            (Contract::Alone(to), Sort::Download(slot)) => self.plain(*slot, |it| to.download(it)),
            (Contract::Shared(to), Sort::Upload(slot)) => {
                self.opened(*slot, first, |it| to.upload(it))
            }
            (Contract::Alone(to), Sort::Upload(slot)) => {
                self.opened(*slot, first, |it| to.upload(it))
            }
            (Contract::Shared(to), Sort::Exchange(slot, sender)) => {
                self.opened(*sender, *slot, |it| to.exchange(it))
            }
            (Contract::Alone(to), Sort::Exchange(slot, sender)) => {
                self.opened(*sender, *slot, |it| to.exchange(it))
            }
            // All items are sent by the future of the call, which is not kept.
            (Contract::Shared(to), Sort::UploadAll(..)) => {
                self.opened(first, first, |it| to.upload(it))
            }
            (Contract::Alone(to), Sort::UploadAll(..)) => {
                self.opened(first, first, |it| to.upload(it))
            }
        }
    }

    fn wait(&self, sort: &Sort) -> KeptFuture {
        let Sort::UploadAll(amount, item) = sort else {
            return self.keep(sort).wait();
        };
        let items = Items {
            at: self.at.clone(),
            call: 0,
            left: amount.count(),
            item: item.clone(),
        };
        match &self.caller.to {
            Contract::Shared(to) => self.with_items(items, |it| to.upload(it)),
            Contract::Alone(to) => self.with_items(items, |it| to.upload(it)),
        }
    }
}

/// Makes a call, to be kept. `None` if there is no caller.
pub(super) fn keep(
    at: &At,
    caller: Slot,
    sort: &Sort,
    terms: &Terms,
    order: &Order,
) -> Option<Box<dyn Kept>> {
    let caller = at.world.callers.get(caller)?;
    let maker = Maker {
        at,
        caller: &caller,
        terms,
        order,
        within: None,
    };
    Some(maker.keep(sort))
}

/// Makes a call whose handler does nothing, to be kept.
pub(super) fn keep_plain(at: &At, caller: &Caller) -> Box<dyn Kept> {
    let maker = Maker {
        at,
        caller,
        terms: &Terms::plain(),
        order: &Order::plain(),
        within: None,
    };
    maker.keep(&Sort::Unary())
}

/// Makes a call, to be awaited, as a part of the one that `within` belongs to.
pub(super) fn call(
    at: &At,
    caller: Slot,
    sort: &Sort,
    terms: &Terms,
    order: &Order,
    within: Option<&Context>,
) -> Option<KeptFuture> {
    let caller = at.world.callers.get(caller)?;
    let maker = Maker {
        at,
        caller: &caller,
        terms,
        order,
        within,
    };
    Some(maker.wait(sort))
}

/// Items that a call sends.
struct Items {
    at: At,
    call: usize,
    left: usize,
    item: Cargo,
}

impl Stream for Items {
    type Item = Goods;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Goods>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Goods::new(&self.item, self.call, &self.at)))
    }
}

/// Many calls of one method.
pub(super) struct Many {
    pub(super) count: usize,
    pub(super) at_once: usize,
    pub(super) is_ordered: bool,
    pub(super) order: Order,
}

/// Makes many calls of one method, and reads their answers.
pub(super) fn map(at: &At, caller: Slot, many: Many) -> Option<KeptFuture> {
    let caller = at.world.callers.get(caller)?;
    Some(match caller.to.clone() {
        Contract::Shared(to) => mapped(at, caller, many, move |it| to.unary(it)),
        Contract::Alone(to) => mapped(at, caller, many, move |it| to.unary(it)),
    })
}

fn mapped<M: Kind<Request = Request>>(
    at: &At,
    caller: Caller,
    many: Many,
    make: impl Fn(Request) -> Call<M> + Send + Sync + 'static,
) -> KeptFuture {
    let at = at.clone();
    Box::pin(async move {
        // By the index of the request.
        let records = insula_sync::Mutex::new(Vec::new());
        let begin = |_| {
            let call = at.world.ledger.call();
            let request = Request::new(&many.order, call, &at, &caller.books);
            caller.books.count(Told::Made);
            records.lock().push(Some(Record {
                at: at.clone(),
                call,
                books: Arc::clone(&caller.books),
                stream: Slot(0),
                is_made: true,
                is_timed: false,
                runs_on: false,
                deadline: None,
            }));
            make(request)
        };
        let record = |index: usize| records.lock().get_mut(index).and_then(Option::take);
        let mut calls = insula_rpc::map(0..many.count, begin).concurrency(many.at_once);
        if many.is_ordered {
            for index in 0.. {
                let Some(outcome) = calls.next().await else {
                    return;
                };
                ends::<M>(record(index), outcome, &at);
            }
        }
        let mut calls = calls.unordered();
        while let Some((index, outcome)) = calls.next().await {
            ends::<M>(record(index), outcome, &at);
        }
    })
}

fn ends<M: Kind>(record: Option<Record>, outcome: Outcomes<M>, at: &At) {
    match record {
        Some(record) => record.ends::<M>(outcome),
        None => at.world.ledger.fault("an answer came for no request"),
    }
}

/// Records that a stream ended with an error.
pub(super) fn stream_fails(ledger: &Ledger, call: usize, error: CallError<Goods>) {
    match error {
        CallError::App(error) => {
            ledger.stream_ends(call);
            error.arrives(call);
        }
        CallError::Panicked { .. } => ledger.stream_ends(call),
        _ => {}
    }
}
