//! Calls, streams and pools.

mod announced;
mod contract;
mod handler;
mod made;
mod pools;

use std::sync::Arc;
use std::time::Duration;

use insula_core::{Isolate, ReceivePort, SendPort, spawn_local};
use insula_rpc::{CancelToken, Respond, TrySendError, serve};

use self::contract::{
    AloneCaller, AloneRequest, AloneResponder, Clerk, SharedCaller, SharedRequest, SharedResponder,
};
use self::made::Contract;
use super::world::{At, KeptFuture};
use super::{futures, isolates, may_wait_forever};
use crate::oracle::Books;
use crate::program::{Cargo, Future as Awaited, Kind, Limit, Load, Op, Services, Slot};

pub(crate) use announced::announced;
pub(crate) use contract::Goods;
pub(crate) use made::{Answers, Caller, Kept};
pub(crate) use pools::{Pool, check_at_end, excuse, probe};

/// The longest time for which a thread that may not wait without end waits for a call.
const SHORT: Duration = Duration::from_millis(1);

pub(crate) fn op(op: &Op, at: &At) -> bool {
    let world = &at.world;
    let kept = |slot: &Slot| world.calls.take(*slot);
    match op {
        Op::NewCall(slot, caller, sort, terms, order) => {
            if let Some(call) = made::keep(at, *caller, sort, terms, order) {
                world.calls.put(*slot, call);
            }
        }
        Op::StartCall(slot) => {
            if let Some(call) = kept(slot) {
                world.calls.put(*slot, call.start());
            }
        }
        Op::TryStartCall(slot) => {
            if let Some(call) = kept(slot).and_then(Kept::try_start) {
                world.calls.put(*slot, call);
            }
        }
        Op::DetachCall(slot) => kept(slot).into_iter().for_each(Kept::detach),
        Op::BlockOnCall(slot) => {
            if let Some(call) = kept(slot) {
                block(at, op, call);
            }
        }
        Op::DropCall(slot) => drop(kept(slot)),
        Op::CallAndBlock(caller, sort, terms, order) => {
            if let Some(call) = made::keep(at, *caller, sort, terms, order) {
                block(at, op, call);
            }
        }
        Op::CallAndLeave(caller, sort, terms, order) => {
            if let Some(call) = made::keep(at, *caller, sort, terms, order) {
                drop(call.start());
            }
        }
        Op::DropCaller(slot) => drop(world.callers.take(*slot)),
        _ => return endpoints(op, at),
    }
    true
}

/// Waits for a call with the thread. Where nothing may wait without end, the call has a deadline.
fn block(at: &At, op: &Op, call: Box<dyn Kept>) {
    // While the stack unwinds, the wait lasts until there is an answer, as documented.
    let is_free = may_wait_forever(at) && !std::thread::panicking();
    let is_seeded = at.world.program.kind == Kind::Seeded;
    if is_seeded && Isolate::current().is_none() {
        // The thread that waits would have to drive the runtime.
        return drop(call.start());
    }
    let _wait = at.world.ledger.wait(|| format!("{op:?}"));
    if is_free {
        call.block();
    } else {
        call.block_for(SHORT);
    }
}

fn endpoints(op: &Op, at: &At) -> bool {
    match op {
        Op::ServeCalls(caller, isolate, services, at_end) => match services {
            Services::Alone() => {
                let serve = |port, clerk| serve(port, AloneResponder::new(clerk));
                serve_in_isolate::<AloneRequest, _>(at, *isolate, at_end, serve)
                    .into_iter()
                    .for_each(|port| keep(at, *caller, Contract::Alone(AloneCaller::over(port))));
            }
            Services::Shared() | Services::Two() => {
                let serve = |port, clerk| serve(port, SharedResponder::new(clerk));
                serve_in_isolate::<SharedRequest, _>(at, *isolate, at_end, serve)
                    .into_iter()
                    .for_each(|port| keep(at, *caller, Contract::Shared(SharedCaller::over(port))));
            }
        },
        Op::ServeHere(caller, limit, is_bounded, services, at_end) => {
            // The thread of a root isolate may wait for the calls that it serves.
            if Isolate::current().is_none() || is_in_root(at) {
                return true;
            }
            let clerk = Clerk::new(at, &at_end.0, false);
            let limit = is_bounded.0.then_some(usize::from(limit.0));
            let to = match services {
                Services::Alone() => {
                    let port = here(limit, AloneResponder::new(clerk));
                    Contract::Alone(AloneCaller::over(port))
                }
                Services::Shared() | Services::Two() => {
                    let port = here(limit, SharedResponder::new(clerk));
                    Contract::Shared(SharedCaller::over(port))
                }
            };
            keep(at, *caller, to);
        }
        _ => return streams(op, at),
    }
    true
}

fn keep(at: &At, slot: Slot, to: Contract) {
    let books = Arc::new(Books::default());
    at.world.callers.put(slot, Caller { to, books });
}

/// Spawns an isolate that serves calls.
fn serve_in_isolate<C, F>(
    at: &At,
    slot: Slot,
    at_end: &Load,
    serve: impl FnOnce(ReceivePort<C>, Clerk) -> F + Send + 'static,
) -> Option<SendPort<C>>
where
    C: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let inner = At {
        world: at.world.clone(),
        home: at.home.or(Some(Slot(0))),
    };
    let clerk = Clerk::new(&inner, &at_end.0, false);
    let builder = isolates::builder(at, None);
    let mut port = None;
    let spawned = isolates::spawn(at, builder, |builder| {
        let entry = move |receiver: ReceivePort<C>| serve(receiver, clerk);
        let (isolate, sender) = builder.spawn_pair(entry);
        port = Some(sender);
        Some(isolate)
    });
    at.world.isolates.put(slot, spawned?);
    port
}

/// Serves calls in this isolate.
fn here<R: Respond>(limit: Option<usize>, responder: R) -> SendPort<R::Contract> {
    let port = match limit {
        Some(limit) => ReceivePort::bounded(limit),
        None => ReceivePort::new(),
    };
    let sender = port.send_port();
    spawn_local(serve(port, responder));
    sender
}

/// Returns whether the current isolate may be one that a thread of the program drives.
fn is_in_root(at: &At) -> bool {
    let thread = std::thread::current();
    let is_of_pool = thread
        .name()
        .is_some_and(|name| name.starts_with("insula-"));
    at.world.program.kind == Kind::Threads && !is_of_pool
}

fn streams(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::TrySendItem(slot, item) => {
            if let Some((call, mut sender)) = world.senders.take(*slot) {
                let tried = sender.try_send(Goods::new(item, call, at));
                // Before the item is dropped, whose script may look for the sender.
                world.senders.put(*slot, (call, sender));
                match tried {
                    Ok(()) => {}
                    Err(TrySendError::Full(item)) => item.arrives(call),
                    Err(TrySendError::Closed(not_sent)) => not_sent.item.arrives(call),
                }
            }
        }
        Op::FinishItems(slot) => {
            if let Some((_, sender)) = world.senders.take(*slot) {
                sender.finish();
            }
        }
        Op::AbortItems(slot) => {
            if let Some((_, sender)) = world.senders.take(*slot) {
                sender.abort("hostile");
            }
        }
        Op::DropSender(slot) => drop(world.senders.take(*slot)),
        Op::DropStream(slot) => drop(world.streams.take(*slot)),
        // These need a handler around them.
        Op::Progress(_)
        | Op::Fail(_)
        | Op::Trail()
        | Op::StashToken(_)
        | Op::DropItems()
        | Op::StashItems(_) => {}
        _ => return pools::op(op, at),
    }
    true
}

/// Returns the future of an operation; `None` if the named object does not exist.
pub(crate) fn make(awaited: &Awaited, at: &At) -> Option<KeptFuture> {
    let world = at.world.clone();
    let kept = |slot: &Slot| world.calls.take(*slot);
    Some(match awaited {
        Awaited::Call(caller, sort, terms, order)
        | Awaited::CallWithin(caller, sort, terms, order) => {
            made::call(at, *caller, sort, terms, order, None)?
        }
        Awaited::Await(slot) => kept(slot)?.wait(),
        Awaited::AwaitDetails(slot) => kept(slot)?.wait_for_details(),
        Awaited::CancelAndWait(slot) => kept(slot)?.cancel(),
        Awaited::Both(one, other) => match (futures::make(one, at), futures::make(other, at)) {
            (Some(one), Some(other)) => both(one, other),
            (one, other) => one.or(other)?,
        },
        Awaited::Then(one, other) => {
            let (one, other) = (futures::make(one, at), other.clone());
            let at = at.clone();
            Box::pin(async move {
                if let Some(one) = one {
                    one.await;
                }
                // Made only now: it may name what the first one leaves, such as the stream of an
                // answer.
                if let Some(other) = make_announced(&other, &at) {
                    other.await;
                }
            })
        }
        Awaited::MapCalls(caller, amount, at_once, is_ordered, order) => {
            let many = made::Many {
                count: amount.count(),
                at_once: usize::from(at_once.0),
                is_ordered: is_ordered.0,
                order: order.clone(),
            };
            made::map(at, *caller, many)?
        }
        Awaited::CancelledOf(slot) => {
            let token: CancelToken = world.tokens.get(*slot)?;
            Box::pin(async move {
                let _ = token.cancelled().await;
            })
        }
        _ => return of_streams(awaited, at),
    })
}

fn of_streams(awaited: &Awaited, at: &At) -> Option<KeptFuture> {
    let world = at.world.clone();
    Some(match awaited {
        Awaited::ReadStream(slot, amount) => {
            let (call, mut stream) = world.streams.take(*slot)?;
            let (slot, count) = (*slot, amount.count());
            Box::pin(async move {
                for _ in 0..count {
                    match stream.next().await {
                        Some(Ok(item)) => item.arrives(call),
                        Some(Err(error)) => {
                            return made::stream_fails(&world.ledger, call, error);
                        }
                        None => return world.ledger.stream_ends(call),
                    }
                }
                world.streams.put(slot, (call, stream));
            })
        }
        Awaited::SendItems(slot, item, amount) => {
            let (call, mut sender) = world.senders.take(*slot)?;
            let (at, slot, item) = (at.clone(), *slot, item.clone());
            let count = amount.count();
            Box::pin(async move {
                for _ in 0..count {
                    let item = Goods::new(&item, call, &at);
                    if let Err(not_sent) = sender.send(item).await {
                        not_sent.item.arrives(call);
                        break;
                    }
                }
                at.world.senders.put(slot, (call, sender));
            })
        }
        Awaited::Reserve(slot) => {
            let (call, mut sender) = world.senders.take(*slot)?;
            let (at, slot) = (at.clone(), *slot);
            Box::pin(async move {
                if let Ok(permit) = sender.reserve().await {
                    let item = Goods::new(&Cargo::plain(), call, &at);
                    if let Err(not_sent) = permit.send(item) {
                        not_sent.item.arrives(call);
                    }
                }
                at.world.senders.put(slot, (call, sender));
            })
        }
        Awaited::ReadStashed(slot, amount) => {
            let (call, mut items) = world.inbounds.take(*slot)?;
            let (slot, count) = (*slot, amount.count());
            Box::pin(async move {
                if handler::read(&mut items, call, count).await {
                    world.inbounds.put(slot, (call, items));
                }
            })
        }
        // These need a handler around them.
        Awaited::Cancelled()
        | Awaited::Checkpoint()
        | Awaited::ReadItems(_)
        | Awaited::Give(..) => return None,
        _ => return pools::make(awaited, at),
    })
}

/// Waits for both futures, side by side.
fn both(mut one: KeptFuture, mut other: KeptFuture) -> KeptFuture {
    let (mut is_first_over, mut is_second_over) = (false, false);
    Box::pin(std::future::poll_fn(move |cx| {
        is_first_over = is_first_over || one.as_mut().poll(cx).is_ready();
        is_second_over = is_second_over || other.as_mut().poll(cx).is_ready();
        match is_first_over && is_second_over {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    }))
}

/// Returns the future of an operation whose wake-ups are checked, where that can be done.
pub(crate) fn make_announced(awaited: &Awaited, at: &At) -> Option<KeptFuture> {
    let kept = |slot: &Slot| at.world.calls.take(*slot);
    let (future, is_exact) = match awaited {
        Awaited::Call(_, _, terms, _) | Awaited::CallWithin(_, _, terms, _) => {
            (make(awaited, at)?, terms.deadline == Limit::Never())
        }
        Awaited::Await(slot) => {
            let (kept, is_exact) = exact(kept(slot)?);
            (kept.wait(), is_exact)
        }
        Awaited::AwaitDetails(slot) => {
            let (kept, is_exact) = exact(kept(slot)?);
            (kept.wait_for_details(), is_exact)
        }
        Awaited::CancelAndWait(slot) => {
            let (kept, is_exact) = exact(kept(slot)?);
            (kept.cancel(), is_exact)
        }
        Awaited::MapCalls(..)
        | Awaited::ReadStream(..)
        | Awaited::ReadStashed(..)
        | Awaited::SendItems(..)
        | Awaited::Reserve(_)
        | Awaited::ShutDownPool(..) => (make(awaited, at)?, true),
        Awaited::Either(one, other) => {
            // Each for itself: a wake-up of one polls both, and may find the other one ready.
            let (one, other) = (make_announced(one, at)?, make_announced(other, at)?);
            (futures::either(one, other), false)
        }
        _ => (futures::make(awaited, at)?, false),
    };
    if !is_exact {
        return Some(future);
    }
    let what = awaited.clone();
    Some(announced(future, move || format!("{what:?}"), at))
}

fn exact(kept: Box<dyn Kept>) -> (Box<dyn Kept>, bool) {
    let is_exact = kept.is_exact();
    (kept, is_exact)
}

/// Returns how long a thread waits that must not wait without end, if the wait certainly ends, with
/// the program at the latest. The times are long enough for what should come at once.
pub(crate) fn limit(awaited: &Awaited) -> Option<Duration> {
    let short = Duration::from_millis(2);
    match awaited {
        Awaited::Call(..)
        | Awaited::CallWithin(..)
        | Awaited::Await(_)
        | Awaited::AwaitDetails(_)
        | Awaited::CancelAndWait(_)
        | Awaited::MapCalls(..)
        | Awaited::ReadStream(..)
        | Awaited::SendItems(..)
        | Awaited::Reserve(_) => Some(short),
        // Well over the time after which a pool gives up a factory.
        Awaited::BuildPool(..) => Some(Duration::from_millis(100)),
        Awaited::ShutDownPool(..) => Some(Duration::from_secs(1)),
        Awaited::Both(one, other) | Awaited::Then(one, other) => {
            Some(limit(one)?.max(limit(other)?))
        }
        Awaited::Either(one, other) => limit(one).or(limit(other)),
        _ => None,
    }
}
