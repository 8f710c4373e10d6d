//! Handlers: they interpret the scripts of their requests.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_core::Stream;
use insula_rpc::{Context, Inbound, Metadata, Progress};
use insula_sync::Mutex;

use super::contract::{Clerk, Goods, Request};
use super::made;
use crate::program::{Future as Awaited, How, Op};
use crate::run::world::{At, Deeper};
use crate::run::{Scope, run_op};

/// A handler that answers with a value.
pub(super) async fn value(
    clerk: &Clerk,
    cx: &Context,
    request: Request,
    items: Option<Inbound<Goods>>,
) -> Result<Goods, Goods> {
    let serving = clerk.begin(&request);
    let mut desk = Desk::new(clerk, cx, &request, items);
    let worked = desk.work(&request.handler.0).await;
    // What is returned leaks if the drop of a variable panics after that.
    drop(desk);
    let (answer, call) = (request.answer.clone(), request.goods.call);
    drop(request);
    // Last, so that a panic of the drops before it still marks the service as suspect.
    drop(serving);
    worked.map(|()| Goods::new(&answer, call, &clerk.at))
}

/// A handler that answers with a stream. The script up to its first item runs before the stream.
pub(super) async fn stream(
    clerk: &Clerk,
    cx: &Context,
    request: Request,
    items: Option<Inbound<Goods>>,
) -> Result<impl Stream<Item = Result<Goods, Goods>>, Goods> {
    let serving = clerk.begin(&request);
    let mut desk = Desk::new(clerk, cx, &request, items);
    let ops = Arc::clone(&request.handler.0);
    let gives = |op: &Op| matches!(op, Op::Wait(Awaited::Give(..), _));
    let first = ops.iter().position(gives).unwrap_or(ops.len());
    if let Err(error) = desk.work(&ops[..first]).await {
        drop(desk);
        drop(request);
        drop(serving);
        return Err(error);
    }
    let given = Given::default();
    desk.given = Some(given.clone());
    let work = async move {
        let ended = desk.work(&ops[first..]).await;
        drop(desk);
        drop(request);
        drop(serving);
        ended
    };
    Ok(Giving {
        work: Some(Box::pin(work)),
        given,
    })
}

type Given = Arc<Mutex<VecDeque<Goods>>>;

/// The stream of a handler. It borrows the service and the context.
struct Giving<F> {
    work: Option<Pin<Box<F>>>,
    given: Given,
}

impl<F: Future<Output = Result<(), Goods>>> Stream for Giving<F> {
    type Item = Result<Goods, Goods>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        let polled = work.as_mut().poll(task);
        let next = self.given.lock().pop_front();
        match (polled, next) {
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some(item)) => Poll::Ready(Some(Ok(item))),
            // No item is left then: each is taken by the poll in which it was given.
            (Poll::Ready(ended), _) => {
                self.work = None;
                Poll::Ready(ended.err().map(Err))
            }
        }
    }
}

/// The things that a handler works with.
struct Desk<'a, 'b> {
    cx: &'b Context,
    at: &'a At,
    call: usize,
    items: Option<Inbound<Goods>>,
    /// The items of its stream, once there is one.
    given: Option<Given>,
    scope: Scope,
}

impl<'a, 'b> Desk<'a, 'b> {
    fn new(
        clerk: &'a Clerk,
        cx: &'b Context,
        request: &Request,
        items: Option<Inbound<Goods>>,
    ) -> Self {
        Self {
            cx,
            at: &clerk.at,
            call: request.goods.call,
            items,
            given: None,
            scope: Scope::default(),
        }
    }

    async fn work(&mut self, ops: &[Op]) -> Result<(), Goods> {
        for op in ops {
            if !self.at.may_go_on() {
                break;
            }
            match op {
                Op::Wait(awaited, How::Await()) => self.wait(awaited).await,
                Op::Fail(error) => return Err(Goods::new(error, self.call, self.at)),
                _ => {
                    let _deeper = Deeper::enter();
                    self.op(op);
                }
            }
        }
        Ok(())
    }

    fn op(&mut self, op: &Op) {
        let world = &self.at.world;
        match op {
            Op::Progress(ms) => self.cx.progress(Progress::new(u64::from(ms.0))),
            Op::Trail() => self.cx.set_trailing(Metadata::new()),
            Op::StashToken(slot) => world.tokens.put(*slot, self.cx.token()),
            Op::DropItems() => drop(self.items.take()),
            Op::StashItems(slot) => {
                if let Some(items) = self.items.take() {
                    world.inbounds.put(*slot, (self.call, items));
                }
            }
            _ => run_op(op, self.at, &mut self.scope),
        }
    }

    async fn wait(&mut self, awaited: &Awaited) {
        match awaited {
            Awaited::Cancelled() => {
                let _ = self.cx.cancelled().await;
            }
            Awaited::Checkpoint() => {
                let _ = self.cx.checkpoint().await;
            }
            Awaited::ReadItems(amount) => {
                if let Some(items) = &mut self.items {
                    read(items, self.call, amount.count()).await;
                }
            }
            Awaited::Give(item, amount) => {
                if let Some(given) = &self.given {
                    for _ in 0..amount.count() {
                        let item = Goods::new(item, self.call, self.at);
                        given.lock().push_back(item);
                        once().await;
                    }
                }
            }
            Awaited::CallWithin(caller, sort, terms, order) => {
                let within = Some(self.cx);
                if let Some(call) = made::call(self.at, *caller, sort, terms, order, within) {
                    call.await;
                }
            }
            _ => {
                if let Some(future) = super::make_announced(awaited, self.at) {
                    future.await;
                }
            }
        }
    }
}

/// Reads items of a call. Returns `false` at their end.
pub(super) async fn read(items: &mut Inbound<Goods>, call: usize, count: usize) -> bool {
    for _ in 0..count {
        match items.next().await {
            Some(Ok(item)) => item.arrives(call),
            Some(Err(_)) | None => return false,
        }
    }
    true
}

/// Is pending once, without a wake-up: the stream that is polled has an item then.
async fn once() {
    let mut is_first = true;
    poll_fn(|_| match std::mem::replace(&mut is_first, false) {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
}
