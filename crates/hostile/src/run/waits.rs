//! Mailboxes, rendezvous and locks, and the blocking waits for results and answers.

use std::sync::Arc;
use std::time::Duration;

use insula_core::{
    Mailbox, MailboxError, Reply, RequestError, Run, Undelivered, WaitError, rendezvous,
};

use super::world::{At, Parcel, Rendezvous};
use super::{futures, may_wait_forever, patience, ports};
use crate::program::{Kind, Load, Op, Patience, Script, Slot};

/// Waits for a computation.
pub(crate) fn run(at: &At, run: Run<Parcel>) {
    let _wait = at.world.ledger.wait(|| "Run::wait".to_owned());
    if may_wait_forever(at) {
        if let Ok(result) = run.wait() {
            result.handled();
        }
    } else {
        drive(at, run);
    }
}

/// Waits for an answer.
pub(crate) fn reply(at: &At, reply: Reply<Parcel>) {
    let _wait = at.world.ledger.wait(|| "Reply::wait".to_owned());
    if may_wait_forever(at) {
        futures::unless_refused(|| {
            if let Ok(answer) = reply.wait() {
                answer.handled();
            }
        });
    } else {
        drive(at, reply);
    }
}

/// Waits for a value where nothing may wait without end.
fn drive<E>(at: &At, value: impl Future<Output = Result<Parcel, E>> + Send + 'static) {
    let handled = async move {
        if let Ok(parcel) = value.await {
            parcel.handled();
        }
    };
    futures::drive(at, Box::pin(handled));
}

pub(crate) fn op(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::NewMailbox(slot) => world.add_mailbox(*slot, Mailbox::new()),
        Op::Put(slot, may_wait, load) => {
            if let Some(mailbox) = world.mailboxes.get(*slot) {
                put(at, &mailbox, *may_wait, load);
            }
        }
        Op::TryPut(slot, load) => {
            if let Some(mailbox) = world.mailboxes.get(*slot) {
                ports::send(at, load, |parcel| given_back(mailbox.try_put(parcel)));
            }
        }
        Op::Take(slot, may_wait) => {
            if let Some(mailbox) = world.mailboxes.get(*slot) {
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                let taken = match patience(at, *may_wait) {
                    Some(timeout) => mailbox.take_timeout(timeout),
                    None => mailbox.take(),
                };
                taken.into_iter().for_each(|parcel| parcel.handled());
            }
        }
        Op::TryTake(slot) => {
            if let Some(Ok(parcel)) = world.mailboxes.get(*slot).map(|it| it.try_take()) {
                parcel.handled();
            }
        }
        Op::CloseMailbox(slot) => world
            .mailboxes
            .get(*slot)
            .into_iter()
            .for_each(|it| it.close()),
        Op::AttachMailbox(slot) => {
            world
                .mailboxes
                .get(*slot)
                .into_iter()
                .for_each(|it| it.attach());
        }
        Op::CopyMailbox(slot, to) => {
            if let Some(mailbox) = world.mailboxes.get(*slot) {
                world.add_mailbox(*to, (*mailbox).clone());
            }
        }
        Op::DropMailbox(slot) => drop(world.mailboxes.take(*slot)),
        _ => return rendezvous_op(op, at),
    }
    true
}

fn put(at: &At, mailbox: &Mailbox<Parcel>, may_wait: Patience, load: &Load) {
    let _wait = at
        .world
        .ledger
        .wait(|| format!("Put({:?})", may_wait.0.map(|ms| ms.0)));
    ports::send(at, load, |parcel| {
        given_back(match patience(at, may_wait) {
            Some(timeout) => mailbox.put_timeout(parcel, timeout),
            None => mailbox.put(parcel),
        })
    });
}

fn given_back(result: Result<(), Undelivered<Parcel>>) -> Result<(), Parcel> {
    result.map_err(|error| error.message)
}

fn rendezvous_op(op: &Op, at: &At) -> bool {
    let world = &at.world;
    let responder = |slot: &Slot| world.responders.get(*slot);
    match op {
        Op::NewRendezvous(slot) => {
            let (requester, responder) = rendezvous();
            let requester = Rendezvous::new(requester);
            world.requesters.put(*slot, Arc::new(requester));
            world.responders.put(*slot, Arc::new(responder));
        }
        Op::Request(slot, may_wait, load) => {
            if let Some(end) = world.requesters.get(*slot) {
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                request(at, &end, patience(at, *may_wait), load);
            }
        }
        Op::Receive(slot, may_wait) => {
            if let Some(end) = responder(slot) {
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                let received = match patience(at, *may_wait) {
                    Some(timeout) => end.receive_timeout(timeout),
                    None => end.receive(),
                };
                received.into_iter().for_each(|parcel| parcel.handled());
            }
        }
        Op::Respond(slot, load) => {
            if let Some(end) = responder(slot) {
                ports::send(at, load, |parcel| given_back(end.respond(parcel)));
            }
        }
        Op::Decline(slot) => drop(responder(slot).map(|it| it.decline())),
        Op::MessageLoop(slot, handler) => {
            if let Some(end) = responder(slot)
                && may_wait_forever(at)
            {
                let _wait = world.ledger.wait(|| "MessageLoop".to_owned());
                let hook = at.hook(handler);
                let _ = end.message_loop(|_, parcel| {
                    parcel.handled();
                    hook.run();
                    drop(parcel);
                    hook.at().token()
                });
            }
        }
        Op::StopLoop(slot) => responder(slot).into_iter().for_each(|it| it.stop()),
        Op::CloseRendezvous(slot) => {
            if let Some(end) = world.requesters.get(*slot) {
                end.closes(world.ledger.now());
                end.requester.close();
            }
        }
        _ => return ends(op, at),
    }
    true
}

fn ends(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::AttachEnd(slot, is_requester) => {
            if is_requester.0 {
                let end = world.requesters.get(*slot);
                end.into_iter().for_each(|it| it.requester.attach());
            } else {
                let end = world.responders.get(*slot);
                end.into_iter().for_each(|it| it.attach());
            }
        }
        Op::PeerIs(slot, isolate, is_requester) => {
            if let Some(isolate) = world.isolates.get(*isolate) {
                if is_requester.0 {
                    let end = world.requesters.get(*slot);
                    end.into_iter()
                        .for_each(|it| it.requester.peer_is(&isolate));
                } else {
                    let end = world.responders.get(*slot);
                    end.into_iter().for_each(|it| it.peer_is(&isolate));
                }
            }
        }
        Op::DropEnd(slot, is_requester) => {
            if is_requester.0 {
                drop(world.requesters.take(*slot));
            } else {
                drop(world.responders.take(*slot));
            }
        }
        _ => return locks(op, at),
    }
    true
}

fn request(at: &At, end: &Rendezvous, timeout: Option<Duration>, load: &Load) {
    let parcel = at.parcel(&load.0);
    let number = parcel.number;
    let attempt = end.begin(number);
    let result = match timeout {
        Some(timeout) => end.requester.request_timeout(parcel, timeout),
        None => end.requester.request(parcel),
    };
    let ledger = &at.world.ledger;
    let now = ledger.now();
    let is_spoilt = match result {
        Ok(answer) => {
            answer.handled();
            attempt.end(true, Some(answer.number), false, now)
        }
        Err(RequestError { error, request }) => {
            if request.is_some_and(|back| back.number != number) {
                ledger.fault("a refused request gave another one back");
            }
            let was_admitted = error == MailboxError::Wait(WaitError::TimedOut)
                || error == MailboxError::Unanswered;
            attempt.end(was_admitted, None, error == MailboxError::Closed, now)
        }
    };
    if is_spoilt {
        ledger.fault("a request was admitted beside another one");
    }
}

fn locks(op: &Op, at: &At) -> bool {
    let world = &at.world;
    let index = |slot: &Slot| usize::from(slot.0) % 3;
    match op {
        Op::Lock(slot, may_wait, inside) => lock(at, index(slot), *may_wait, inside),
        Op::TryLock(slot, inside) => {
            if let Some(mut guard) = world.locks[index(slot)].try_lock() {
                *guard += 1;
                super::run(inside, at);
            }
        }
        Op::RawLock(slot, may_wait) => {
            // An isolate or a `Free` thread unlocks it when it ends; other threads would keep it
            // locked.
            if may_wait_forever(at) {
                let lock = &world.raw_locks[index(slot)];
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                let _ = match patience(at, *may_wait) {
                    Some(timeout) => lock.lock_timeout(timeout),
                    None => lock.lock(),
                };
            }
        }
        Op::RawUnlock(slot) => drop(world.raw_locks[index(slot)].unlock()),
        // The wait ends by locking again, which has no time-out, and the holder of the lock may
        // wait for the end of the program.
        Op::WaitFor(..) if world.program.kind == Kind::Threads && !may_wait_forever(at) => {}
        Op::WaitFor(condition, slot, may_wait) => {
            let _wait = world.ledger.wait(|| format!("{op:?}"));
            wait_for(at, index(condition), index(slot), *may_wait);
        }
        Op::WaitForRaw(condition, slot, may_wait) => {
            if may_wait_forever(at) {
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                let mut waiting = Waiting::begin(at, index(condition));
                let timeout = patience(at, *may_wait);
                let lock = &world.raw_locks[index(slot)];
                let waited = world.conditions[index(condition)].wait_raw(lock, timeout);
                waiting.was_notified = waited == Ok(true);
            }
        }
        Op::Notify(condition) => {
            world.ledger.notifies(index(condition));
            world.conditions[index(condition)].notify_one();
        }
        Op::NotifyAll(condition) => {
            world.notify_all(index(condition));
        }
        _ => return false,
    }
    true
}

fn lock(at: &At, index: usize, may_wait: Patience, inside: &Script) {
    let wait = at.world.ledger.wait(|| format!("Lock({index})"));
    let lock = &at.world.locks[index];
    let guard = match patience(at, may_wait) {
        Some(timeout) => lock.lock_timeout(timeout),
        None => lock.lock(),
    };
    drop(wait);
    if let Ok(mut guard) = guard {
        *guard += 1;
        super::run(inside, at);
    }
}

fn wait_for(at: &At, condition: usize, lock: usize, may_wait: Patience) {
    let Ok(guard) = at.world.locks[lock].lock_timeout(Duration::from_millis(1)) else {
        return;
    };
    let mut waiting = Waiting::begin(at, condition);
    let condition = &at.world.conditions[condition];
    waiting.was_notified = match patience(at, may_wait) {
        Some(timeout) => condition
            .wait_timeout(guard, timeout)
            .is_ok_and(|(_, was_notified)| was_notified),
        None => condition.wait(guard).is_ok(),
    };
}

/// A wait for a condition variable, in the ledger.
struct Waiting<'a> {
    at: &'a At,
    condition: usize,
    was_notified: bool,
}

impl<'a> Waiting<'a> {
    fn begin(at: &'a At, condition: usize) -> Self {
        at.world.ledger.condition_waits(condition);
        Self {
            at,
            condition,
            was_notified: false,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let ledger = &self.at.world.ledger;
        ledger.condition_waited(self.condition, self.was_notified);
    }
}
