//! Ports, questions, names, native ports and callbacks.

use insula_core::{
    BlockingCallback, CallbackError, CallbackReply, GroupBoundCallback, Isolate,
    IsolateLocalCallback, IsolateNameServer, ListenerCallback, NativePort, ReceivePort, SendError,
    one_shot,
};

use super::world::{At, Hook, Letter, Parcel, Place};
use super::{patience, waits};
use crate::program::{Answering, Kind, Load, Op, Script, Slot};

/// Returns a message handler that runs a script, and answers before it, after it or never.
fn handler(
    at: &At,
    answering: &Answering,
    script: &Script,
) -> impl Fn(Letter) + Send + Sync + 'static {
    let hook = at.hook(script);
    let answering = answering.clone();
    move |letter| {
        let at = hook.at();
        letter.parcel.handled();
        let Letter { parcel, mut reply } = letter;
        if answering == Answering::First()
            && let Some(reply) = reply.take()
        {
            reply.send(at.token());
        }
        hook.run();
        match (&answering, reply) {
            (Answering::Last(), Some(reply)) => reply.send(at.token()),
            (Answering::Keep(slot), Some(reply)) => at.world.reply_tos.put(*slot, reply),
            _ => {}
        }
        // Kept until here, so that a panic of the script drops it while the stack unwinds.
        drop(parcel);
    }
}

/// Makes a parcel, and records whether `attempt` hands it over or gives it back.
pub(crate) fn send(at: &At, load: &Load, attempt: impl FnOnce(Parcel) -> Result<(), Parcel>) {
    let parcel = at.parcel(&load.0);
    let number = parcel.number;
    sent(at, number, attempt(parcel));
}

/// Records the result of a send.
fn sent(at: &At, number: usize, result: Result<(), Parcel>) {
    match result {
        Ok(()) => at.world.ledger.accepted(number),
        Err(back) => {
            at.world.ledger.refused(number);
            if back.number != number {
                at.world.ledger.fault("a refusal gave another message back");
            }
        }
    }
}

fn refused(result: Result<(), SendError<Letter>>) -> Result<(), Parcel> {
    result.map_err(|error| error.into_inner().parcel)
}

pub(crate) fn op(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::Open(slot, limit, is_bounded) => {
            if Isolate::current().is_some() {
                let receiver = if is_bounded.0 {
                    ReceivePort::bounded(usize::from(limit.0))
                } else {
                    ReceivePort::new()
                };
                world.ports.put(*slot, receiver.send_port());
                world.receivers.put(*slot, receiver);
            }
        }
        Op::Listen(slot, answering, script) => {
            // `listen` panics if the port belongs to another isolate.
            if std::thread::panicking() {
                return true;
            }
            if let Some(receiver) = world.receivers.take(*slot) {
                let listener = receiver.listen(handler(at, answering, script));
                world.listeners.put(*slot, listener);
            }
        }
        Op::Serve(slot, isolate, answering, script) => {
            serve(at, *slot, *isolate, answering, script);
        }
        Op::Replace(slot, script) => {
            if let Some(listener) = world.listeners.get(*slot) {
                listener.replace(handler(at, &Answering::Last(), script));
            }
        }
        Op::Clear(slot) => world
            .listeners
            .get(*slot)
            .into_iter()
            .for_each(|it| it.clear()),
        Op::CloseListener(slot) => {
            world
                .listeners
                .get(*slot)
                .into_iter()
                .for_each(|it| it.close());
        }
        Op::CloseReceiver(slot) => drop(world.receivers.take(*slot)),
        Op::KeepAlive(slot, keep) => {
            if let Some(listener) = world.listeners.get(*slot) {
                if keep.0 {
                    listener.keep_isolate_alive();
                } else {
                    listener.let_isolate_end();
                }
            }
        }
        Op::DropPort(slot) => drop(world.ports.take(*slot)),
        _ => return sends(op, at),
    }
    true
}

fn sends(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::Send(slot, load) => {
            if let Some(port) = world.ports.get(*slot) {
                send(at, load, |parcel| refused(port.send(Letter::new(parcel))));
            }
        }
        Op::SendBlocking(slot, load) => {
            if let Some(port) = world.ports.get(*slot)
                && super::may_wait_forever(at)
            {
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                send(at, load, |parcel| {
                    let result = port.send_blocking(Letter::new(parcel));
                    result.map_err(|error| error.into_inner().parcel)
                });
            }
        }
        _ => return questions(op, at),
    }
    true
}

fn serve(at: &At, slot: Slot, isolate: Slot, answering: &Answering, script: &Script) {
    let inner = At {
        world: at.world.clone(),
        home: at.home.or(Some(Slot(0))),
    };
    let handler = handler(&inner, answering, script);
    let builder = super::isolates::builder(at, None);
    let mut port = None;
    let spawned = super::isolates::spawn(at, builder, |builder| {
        let entry = |receiver: ReceivePort<Letter>| receiver.listen(handler);
        let (isolate, sender) = builder.spawn_pair(entry);
        port = Some(sender);
        Some(isolate)
    });
    if let (Some(spawned), Some(port)) = (spawned, port) {
        at.world.isolates.put(isolate, spawned);
        at.world.ports.put(slot, port);
    }
}

fn questions(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::AskBlocking(slot, may_wait) => {
            if let Some(port) = world.ports.get(*slot) {
                let timeout = patience(at, *may_wait);
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                let parcel = at.token();
                let question = |reply| Letter {
                    parcel,
                    reply: Some(reply),
                };
                if let Ok(answer) = port.ask_blocking(question, timeout) {
                    answer.handled();
                }
            }
        }
        Op::Answer(slot, load) => {
            if let Some(reply) = world.reply_tos.take(*slot) {
                reply.send(at.parcel(&load.0));
            }
        }
        Op::DropReplyTo(slot) => drop(world.reply_tos.take(*slot)),
        Op::OneShot(slot) => {
            let (to, reply) = one_shot();
            world.reply_tos.put(*slot, to);
            world.replies.put(*slot, reply);
        }
        Op::WaitReply(slot) => {
            if let Some(reply) = world.replies.take(*slot) {
                waits::reply(at, reply);
            }
        }
        Op::Register(name, slot) => {
            if let Some(port) = world.ports.get(*slot) {
                // A refusal, since the name is taken, is as good: a later look-up finds the other
                // port.
                drop(IsolateNameServer::register(
                    format!("hostile-{}", name.0),
                    &port,
                ));
            }
        }
        Op::LookUp(name, slot) => {
            if let Some(port) = IsolateNameServer::look_up(&format!("hostile-{}", name.0)) {
                world.ports.put(*slot, port);
            }
        }
        Op::Unregister(name) => drop(IsolateNameServer::remove(&format!("hostile-{}", name.0))),
        _ => return natives(op, at),
    }
    true
}

fn natives(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::NewNative(slot, limit, answering, script) => {
            let outside = At {
                world: world.clone(),
                home: None,
            };
            let handler = handler(&outside, answering, script);
            let is_free = world.program.kind == Kind::Threads;
            let handler = move |letter| {
                let place = if is_free {
                    Place::Free
                } else {
                    Place::Elsewhere
                };
                let _place = place.set();
                handler(letter);
            };
            let native = NativePort::new("hostile", handler, usize::from(limit.0));
            world.natives.put(*slot, native);
        }
        Op::Post(slot, load) => {
            if let Some(native) = world.natives.get(*slot) {
                send(at, load, |parcel| refused(native.post(Letter::new(parcel))));
            }
        }
        Op::CloseNative(slot) => {
            if let Some(native) = world.natives.get(*slot) {
                native.close();
            }
        }
        Op::DropNative(slot) => drop(world.natives.take(*slot)),
        _ => return callbacks(op, at),
    }
    true
}

fn answer_callback(hook: &Hook, answering: &Answering, reply: CallbackReply<Parcel>) {
    let at = hook.at();
    let mut reply = Some(reply);
    if *answering == Answering::First()
        && let Some(reply) = reply.take()
    {
        reply.send(at.token());
    }
    hook.run();
    match (answering, reply) {
        (Answering::Last(), Some(reply)) => reply.send(at.token()),
        (Answering::Keep(slot), Some(reply)) => at.world.callback_replies.put(*slot, reply),
        _ => {}
    }
}

fn callbacks(op: &Op, at: &At) -> bool {
    let world = &at.world;
    let is_inside = Isolate::current().is_some();
    match op {
        Op::NewListenerCallback(slot, script) if is_inside => {
            let hook = at.hook(script);
            let callback = ListenerCallback::new(move |parcel: Parcel| {
                parcel.handled();
                hook.run();
            });
            world.listening.put(*slot, callback);
        }
        Op::NewBlockingCallback(slot, answering, script) if is_inside => {
            let (hook, answering) = (at.hook(script), answering.clone());
            let callback = if answering == Answering::Last() {
                BlockingCallback::new(move |parcel: Parcel| {
                    parcel.handled();
                    hook.run();
                    // If it panicked at the end of the closure, the returned value would leak.
                    drop(parcel);
                    hook.at().token()
                })
            } else {
                BlockingCallback::with_reply(move |parcel: Parcel, reply| {
                    parcel.handled();
                    answer_callback(&hook, &answering, reply);
                })
            };
            world.blocking.put(*slot, callback);
        }
        Op::NewLocalCallback(slot, script) if is_inside => {
            let hook = at.hook(script);
            let callback = IsolateLocalCallback::new(move |parcel: Parcel| {
                parcel.handled();
                hook.run();
            });
            world.local.put(*slot, callback);
        }
        Op::NewGroupCallback(slot, script) if is_inside => {
            let outside = At {
                world: world.clone(),
                home: None,
            };
            let callback =
                GroupBoundCallback::new(outside.hook(script), |hook: &Hook, parcel: Parcel| {
                    let _place = Place::Elsewhere.set();
                    parcel.handled();
                    hook.run();
                });
            world.grouped.put(*slot, callback);
        }
        Op::NewListenerCallback(..)
        | Op::NewBlockingCallback(..)
        | Op::NewLocalCallback(..)
        | Op::NewGroupCallback(..) => {}
        _ => return calls(op, at),
    }
    true
}

fn calls(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::CallListener(slot, load) => {
            if let Some(callback) = world.listening.get(*slot) {
                send(at, load, |parcel| {
                    callback.call(parcel).map_err(SendError::into_inner)
                });
            }
        }
        Op::CallBlocking(slot, may_wait, load) => {
            if let Some(callback) = world.blocking.get(*slot) {
                let parcel = at.parcel(&load.0);
                let number = parcel.number;
                let _wait = world.ledger.wait(|| format!("{op:?}"));
                let result = match patience(at, *may_wait) {
                    Some(timeout) => callback.call_timeout(parcel, timeout),
                    None => callback.call(parcel),
                };
                match result {
                    Ok(answer) => answer.handled(),
                    Err(CallbackError::Closed(Some(back))) => sent(at, number, Err(back)),
                    // It may have been delivered, or may be yet, so there is nothing to check of
                    // the value.
                    Err(_) => {}
                }
            }
        }
        Op::AnswerCallback(slot, load) => {
            if let Some(reply) = world.callback_replies.take(*slot) {
                reply.send(at.parcel(&load.0));
            }
        }
        Op::CallLocal(slot, load) => {
            if let Some(callback) = world.local.get(*slot) {
                drop(callback.call(at.parcel(&load.0)));
            }
        }
        Op::CallGroup(slot, load) => {
            if let Some(callback) = world.grouped.get(*slot) {
                drop(callback.call(at.parcel(&load.0)));
            }
        }
        _ => return ends(op, at),
    }
    true
}

fn ends(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::CloseCallback(slot, kind) => match kind.0 {
            0 => drop(world.listening.get(*slot).map(|it| it.close())),
            1 => drop(world.blocking.get(*slot).map(|it| it.close())),
            _ => {
                let _ = world.local.get(*slot).map(|it| it.close());
                let _ = world.grouped.get(*slot).map(|it| it.close());
            }
        },
        Op::DropCallback(slot, kind) => match kind.0 {
            0 => drop(world.listening.take(*slot)),
            1 => drop(world.blocking.take(*slot)),
            _ => {
                drop(world.local.take(*slot));
                drop(world.grouped.take(*slot));
            }
        },
        Op::KeepCallbackAlive(slot, kind, keep) => {
            let _ = match kind.0 {
                0 => world.listening.get(*slot).map(|it| match keep.0 {
                    true => it.keep_isolate_alive(),
                    false => it.let_isolate_end(),
                }),
                1 => world.blocking.get(*slot).map(|it| match keep.0 {
                    true => it.keep_isolate_alive(),
                    false => it.let_isolate_end(),
                }),
                _ => world.local.get(*slot).map(|it| match keep.0 {
                    true => it.keep_isolate_alive(),
                    false => it.let_isolate_end(),
                }),
            };
        }
        _ => return false,
    }
    true
}
