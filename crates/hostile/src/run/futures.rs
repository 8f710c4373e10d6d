//! Futures: the events that they wait for, and the ways to drive them.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use insula_core::{Isolate, Timer, WaitError, schedule_microtask, sleep, spawn_local, yield_now};

use super::calls;
use super::isolates::priority;
use super::may_wait_forever;
use super::waker::hostile;
use super::world::{At, KeptFuture, Letter, Place};
use crate::program::{Future as Awaited, How, Kind, Ms, Op, Slot};

fn time(ms: Ms) -> Duration {
    Duration::from_millis(u64::from(ms.0))
}

/// The limit for awaiting something that may never happen.
const LONG: Duration = Duration::from_millis(2);

/// Returns the future of an operation; `None` if the named object does not exist.
pub(crate) fn make(awaited: &Awaited, at: &At) -> Option<KeptFuture> {
    let world = at.world.clone();
    Some(match awaited {
        Awaited::Sleep(ms) => Box::pin(sleep(time(*ms))),
        Awaited::Yield() => Box::pin(yield_now()),
        Awaited::Pending() => Box::pin(std::future::pending()),
        Awaited::Do(script) => Box::pin(at.hook(script).run_async()),
        Awaited::Either(one, other) => either(make(one, at)?, make(other, at)?),
        Awaited::StashWaker(slot) => stash_waker(at, *slot),
        Awaited::DropLater(load) => {
            let parcel = at.parcel(&load.0);
            Box::pin(async move {
                yield_now().await;
                drop(parcel);
            })
        }
        Awaited::Exited(slot) => {
            let exited = world.isolates.get(*slot)?.exited();
            Box::pin(async move { drop(exited.await) })
        }
        Awaited::Result(slot) => {
            let run = world.runs.take(*slot)?;
            Box::pin(async move {
                if let Ok(result) = run.await {
                    result.handled();
                }
            })
        }
        Awaited::Ping(slot, at_priority) => {
            let ping = world.isolates.get(*slot)?.ping(priority(*at_priority));
            Box::pin(async move {
                let _ = ping.await;
            })
        }
        Awaited::WhyAlive(slot) => {
            let isolate = world.isolates.get(*slot)?;
            Box::pin(async move { drop(isolate.why_alive().await) })
        }
        _ => return messages(awaited, at),
    })
}

fn messages(awaited: &Awaited, at: &At) -> Option<KeptFuture> {
    let world = at.world.clone();
    Some(match awaited {
        Awaited::Receive(slot) => {
            let mut receiver = world.receivers.take(*slot)?;
            let slot = *slot;
            Box::pin(async move {
                if let Some(letter) = receiver.recv().await {
                    letter.parcel.handled();
                    if let Some(reply) = letter.reply {
                        world.reply_tos.put(slot, reply);
                    }
                    world.receivers.put(slot, receiver);
                }
            })
        }
        Awaited::SendWait(slot, load) => {
            let port = world.ports.get(*slot)?;
            let parcel = at.parcel(&load.0);
            Box::pin(async move {
                let number = parcel.number;
                let result = port.send_wait(Letter::new(parcel)).await;
                let result = result.map_err(|error| error.into_inner().parcel);
                match result {
                    Ok(()) => world.ledger.accepted(number),
                    Err(_) => world.ledger.refused(number),
                }
            })
        }
        Awaited::Ask(slot) => {
            let port = world.ports.get(*slot)?;
            let parcel = at.token();
            let ask = port.ask(|reply| Letter {
                parcel,
                reply: Some(reply),
            });
            Box::pin(async move { ask.await.into_iter().for_each(|answer| answer.handled()) })
        }
        Awaited::Reply(slot) => {
            let reply = world.replies.take(*slot)?;
            Box::pin(async move { reply.await.into_iter().for_each(|answer| answer.handled()) })
        }
        Awaited::AskNative(slot) => {
            let native = world.natives.get(*slot)?;
            let parcel = at.token();
            let ask = native.ask(|reply| Letter {
                parcel,
                reply: Some(reply),
            });
            Box::pin(async move { ask.await.into_iter().for_each(|answer| answer.handled()) })
        }
        _ => return calls::make(awaited, at),
    })
}

/// Waits for either future.
pub(crate) fn either(mut one: KeptFuture, mut other: KeptFuture) -> KeptFuture {
    Box::pin(poll_fn(move |cx| {
        if one.as_mut().poll(cx).is_ready() || other.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }))
}

/// Returns a future that gives its waker to the program, and is ready when it is polled again.
fn stash_waker(at: &At, slot: Slot) -> KeptFuture {
    let token = at.token();
    let mut is_stashed = false;
    Box::pin(poll_fn(move |cx| {
        if std::mem::replace(&mut is_stashed, true) {
            return Poll::Ready(());
        }
        token
            .at
            .world
            .wakers
            .put(slot, Arc::new(cx.waker().clone()));
        Poll::Pending
    }))
}

/// Waits, and accepts that a seeded runtime refuses a future that is not ready at once.
pub(crate) fn unless_refused(wait: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(wait)) else {
        return;
    };
    let refusal = WaitError::Seeded.to_string();
    let message = payload.downcast_ref::<String>();
    if !message.is_some_and(|it| it.contains(&refusal)) {
        resume_unwind(payload);
    }
}

/// Drives a future where nothing can be awaited.
pub(crate) fn drive(at: &At, future: KeptFuture) {
    drive_for(at, future, LONG);
}

/// Drives a future where nothing can be awaited, for a limited time outside of isolates.
fn drive_for(at: &At, mut future: KeptFuture, time: Duration) {
    let is_seeded = at.world.program.kind == Kind::Seeded;
    let is_driver = Place::here() == Place::Driver;
    if Isolate::current().is_some() {
        // A kill ends it.
        return unless_refused(|| insula_core::block_on(future));
    }
    if !is_seeded {
        return insula_core::block_on(either(future, Box::pin(sleep(time))));
    }
    match at.world.runtimes.get(Slot(0)) {
        Some(runtime) if is_driver => {
            // What runs in there is on the driver's thread, and must not drive the runtime in turn.
            let _place = Place::Elsewhere.set();
            let _entered = runtime.enter();
            let limit = Box::pin(sleep(time));
            runtime.block_on(either(future, limit));
        }
        _ => {
            // Only the driver may drive a seeded runtime, and it may be waiting for this thread.
            let _ = poll(&mut future, Waker::noop());
        }
    }
}

fn poll(future: &mut KeptFuture, waker: &Waker) -> Poll<()> {
    Pin::as_mut(future).poll(&mut Context::from_waker(waker))
}

/// Waits in the given way, where nothing can be awaited.
pub(crate) fn wait(at: &At, awaited: &Awaited, how: &How) {
    // A port panics where it is polled outside of its isolate.
    if matches!(awaited, Awaited::Receive(_)) && std::thread::panicking() {
        return;
    }
    let made = match how {
        How::Await() | How::BlockOn() => calls::make_announced(awaited, at),
        _ => make(awaited, at),
    };
    let Some(mut future) = made else {
        return;
    };
    match how {
        // A plain script cannot await, so that a task of its isolate does.
        How::Await() if Isolate::current().is_some() => spawn_local(future),
        // While the stack unwinds, `block_on` lasts until its future is ready, as documented, which
        // may be never. And a waker may be called by the timers' thread, which could not end a
        // sleep that it blocks on.
        How::Await() | How::BlockOn()
            if std::thread::panicking() || Place::here() == Place::Elsewhere =>
        {
            let _ = poll(&mut future, Waker::noop());
        }
        How::Await() | How::BlockOn() => {
            let _wait = at.world.ledger.wait(|| format!("block_on({awaited:?})"));
            match calls::limit(awaited) {
                // Nothing but the end of the program may end it.
                Some(_) if at.world.program.kind == Kind::Threads && may_wait_forever(at) => {
                    insula_core::block_on(future);
                }
                limit => drive_for(at, future, limit.unwrap_or(LONG)),
            }
        }
        How::PollDrop(wakes) => {
            let waker = hostile(wakes, at);
            let _ = poll(&mut future, &waker);
        }
        How::PollWith(slot, wakes) | How::PollKeep(slot, wakes) => {
            let waker = hostile(wakes, at);
            if poll(&mut future, &waker).is_pending() {
                at.world.futures.put(*slot, future);
            }
        }
    }
}

pub(crate) fn op(op: &Op, at: &At) -> bool {
    let world = &at.world;
    let is_inside = Isolate::current().is_some();
    match op {
        Op::Wait(awaited, how) => wait(at, awaited, how),
        // A question panics where it is polled outside of its isolate.
        Op::PollAgain(..) if std::thread::panicking() => {}
        Op::PollAgain(slot, wakes) => {
            if let Some(mut future) = world.futures.take(*slot) {
                let waker = hostile(wakes, at);
                if poll(&mut future, &waker).is_pending() {
                    world.futures.put(*slot, future);
                }
            }
        }
        Op::DropFuture(slot) => drop(world.futures.take(*slot)),
        Op::WakeStashed(slot) => {
            if let Some(waker) = world.wakers.take(*slot) {
                match Arc::try_unwrap(waker) {
                    // Both ways to wake occur, since it depends on the program whether this is the
                    // last handle.
                    Ok(waker) => waker.wake(),
                    Err(waker) => waker.wake_by_ref(),
                }
            }
        }
        Op::CopyWaker(slot, to) => {
            if let Some(waker) = world.wakers.get(*slot) {
                world.wakers.put(*to, Arc::new(Waker::clone(&waker)));
            }
        }
        Op::DropWaker(slot) => drop(world.wakers.take(*slot)),
        Op::Microtask(script) if is_inside => {
            let hook = at.hook(script);
            schedule_microtask(move || hook.run());
        }
        Op::Task(script) if is_inside => spawn_local(at.hook(script).run_async()),
        Op::After(slot, ms, script) if is_inside => {
            let hook = at.hook(script);
            world
                .timers
                .put(*slot, Timer::after(time(*ms), move || hook.run()));
        }
        Op::Periodic(slot, ms, script) if is_inside => {
            let hook = at.hook(script);
            let timer = Timer::periodic(time(*ms), move |timer, _| {
                hook.run();
                // With a period of zero it is always due, and a seeded runtime would never come to
                // a later time.
                if !hook.at().may_go_on() {
                    timer.cancel();
                }
            });
            world.timers.put(*slot, timer);
        }
        // `cancel` panics outside the timer's isolate, as documented.
        Op::Cancel(slot) if is_inside && !std::thread::panicking() => {
            if let Some(timer) = world.timers.get(*slot) {
                timer.cancel();
            }
        }
        Op::Microtask(_) | Op::Task(_) | Op::After(..) | Op::Periodic(..) | Op::Cancel(_) => {}
        _ => return false,
    }
    true
}
