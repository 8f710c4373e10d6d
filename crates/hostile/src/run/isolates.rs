//! Isolates, and control over them.

use std::mem::ManuallyDrop;
use std::sync::OnceLock;
use std::thread;

use insula_core::{
    Builder, Capability, ErrorPolicy, Isolate, IsolateGroup, Pinned, Priority, ReceivePort,
    RootIsolate, Runtime, SendPort,
};

use super::run;
use super::world::{At, Hook, Letter};
use crate::program::{Op, Script, Slot};

/// Returns the target of exit messages, of which only the call that makes the message matters: a
/// port that is open and full for ever, of an isolate that no thread drives and no program can end.
fn sink() -> SendPort<()> {
    static SINK: OnceLock<SendPort<()>> = OnceLock::new();
    let make = || {
        let runtime = Runtime::builder().threads(1).build();
        let mut root = RootIsolate::builder("sink").runtime(&runtime).create();
        let sender = root.enter(|_| {
            let port = ManuallyDrop::new(ReceivePort::bounded(1));
            port.send_port()
        });
        let _never_ends = ManuallyDrop::new(root);
        sender.expect("nothing ends it")
    };
    // On a thread of its own, since a program may ask for it anywhere: in an isolate, while its
    // thread unwinds, or in a destructor of a thread-local.
    SINK.get_or_init(|| thread::spawn(make).join().expect("it does not panic"))
        .clone()
}

/// Returns a builder for an isolate of `runtime`, or else of the runtime of `at`.
pub(crate) fn builder(at: &At, runtime: Option<Slot>) -> Builder {
    if runtime.is_none() && Isolate::current().is_some() {
        return Isolate::builder();
    }
    let runtime = runtime.or(at.home).unwrap_or(Slot(0));
    match at.world.runtimes.get(runtime) {
        Some(runtime) => Isolate::builder().runtime(&runtime),
        None => Isolate::builder(),
    }
}

/// Spawns an isolate and makes sure that its end is recorded. Every second isolate has an exit
/// listener; the rest are asked when the program has ended.
pub(crate) fn spawn(
    at: &At,
    builder: Builder,
    start: impl FnOnce(Builder) -> Option<Isolate>,
) -> Option<Isolate> {
    let world = &at.world;
    let number = world.ledger.isolate();
    if number.is_multiple_of(2) {
        let token = at.token();
        let builder = builder.on_exit(&sink(), move |_| token.at.world.ledger.told(number));
        return start(builder);
    }
    let isolate = start(builder);
    if let Some(isolate) = &isolate {
        world.exits.lock().push((number, isolate.exited()));
    }
    isolate
}

fn keep(at: &At, slot: Slot, isolate: Option<Isolate>) {
    if let Some(isolate) = isolate {
        at.world.isolates.put(slot, isolate);
    }
}

fn entry(hook: Hook, fails: bool) -> impl FnOnce(()) -> Result<(), String> + Send + 'static {
    move |()| {
        hook.run();
        if fails {
            Err("hostile".to_owned())
        } else {
            Ok(())
        }
    }
}

fn home(at: &At) -> Option<Slot> {
    at.home.or(Some(Slot(0)))
}

fn spawn_plain(at: &At, slot: Slot, builder: Builder, inside: &Script, fails: bool) {
    let hook = at.hook_in(home(at), inside);
    let isolate = spawn(at, builder, |builder| {
        Some(builder.spawn(entry(hook, fails), ()))
    });
    keep(at, slot, isolate);
}

pub(crate) fn op(op: &Op, at: &At) -> bool {
    match op {
        Op::Spawn(slot, fails, inside) => {
            spawn_plain(at, *slot, builder(at, None), inside, fails.0);
        }
        Op::SpawnAsync(slot, inside) => {
            let hook = at.hook_in(home(at), inside);
            let isolate = spawn(at, builder(at, None), |builder| {
                Some(builder.spawn(async move |()| hook.run_async().await, ()))
            });
            keep(at, *slot, isolate);
        }
        Op::SpawnPaused(slot, inside) => {
            spawn_plain(at, *slot, builder(at, None).paused(), inside, false);
        }
        Op::SpawnLenient(slot, inside) => {
            let builder = builder(at, None).error_policy(ErrorPolicy::Continue);
            spawn_plain(at, *slot, builder, inside, false);
        }
        Op::SpawnPinned(slot, inside) => spawn_pinned(at, *slot, inside),
        Op::SpawnIn(runtime, slot, inside) => {
            // Otherwise the builder would fall back to another runtime than the one that the hook
            // names as its home.
            if at.world.runtimes.get(*runtime).is_some() {
                let hook = at.hook_in(Some(*runtime), inside);
                let isolate = spawn(at, builder(at, Some(*runtime)), |builder| {
                    Some(builder.spawn(entry(hook, false), ()))
                });
                keep(at, *slot, isolate);
            }
        }
        Op::SpawnGroup(group, slot, inside) => {
            let group = at.world.groups.get(*group);
            let group = group.unwrap_or_else(|| IsolateGroup::new("hostile"));
            spawn_plain(at, *slot, builder(at, None).group(&group), inside, false);
        }
        Op::NewGroup(group) => at.world.groups.put(*group, IsolateGroup::new("hostile")),
        Op::DropIsolate(slot) => drop(at.world.isolates.take(*slot)),
        _ => return runs(op, at),
    }
    true
}

fn spawn_pinned(at: &At, slot: Slot, inside: &Script) {
    let hook = at.hook_in(home(at), inside);
    let isolate = spawn(at, builder(at, None), |builder| {
        let entry = |pinned: Pinned, hook: Hook| {
            // Not `Send`, and kept by a task: that is possible in a pinned isolate only.
            let token = std::rc::Rc::new(hook.at().token());
            pinned.spawn_local(async move {
                insula_core::yield_now().await;
                drop(token);
            });
            hook.run_async()
        };
        builder.spawn_pinned(entry, hook).ok()
    });
    keep(at, slot, isolate);
}

fn runs(op: &Op, at: &At) -> bool {
    match op {
        Op::Run(inside) => {
            let hook = at.hook_in(home(at), inside);
            let run = Isolate::run(move || {
                hook.run();
                hook.at().token()
            });
            super::waits::run(at, run);
        }
        Op::RunLater(slot, inside) => {
            let hook = at.hook_in(home(at), inside);
            let run = Isolate::run(move || {
                hook.run();
                hook.at().token()
            });
            at.world.runs.put(*slot, run);
        }
        Op::RunAsync(slot, inside) => {
            let hook = at.hook_in(home(at), inside);
            let run = Isolate::run_async(async move || {
                let token = hook.at().token();
                hook.run_async().await;
                token
            });
            at.world.runs.put(*slot, run);
        }
        Op::WaitRun(slot) => {
            if let Some(run) = at.world.runs.take(*slot) {
                super::waits::run(at, run);
            }
        }
        Op::DropRun(slot) => drop(at.world.runs.take(*slot)),
        _ => return control(op, at),
    }
    true
}

pub(crate) fn priority(slot: Slot) -> Priority {
    match slot.0 {
        0 => Priority::Immediate,
        1 => Priority::BeforeNextEvent,
        _ => Priority::AsEvent,
    }
}

fn control(op: &Op, at: &At) -> bool {
    let world = &at.world;
    let isolate = |slot: &Slot| world.isolates.get(*slot);
    match op {
        Op::Kill(slot, at_priority) => {
            if let Some(isolate) = isolate(slot) {
                isolate.kill_at(priority(*at_priority));
            }
        }
        Op::KillSelf(at_priority) => {
            if let Some(isolate) = Isolate::current() {
                isolate.kill_at(priority(*at_priority));
            }
        }
        Op::KillGroup(slot) => {
            if let Some(group) = world.groups.get(*slot) {
                group.kill_all();
            }
        }
        Op::KillAll(slot) => {
            if let Some(runtime) = world.runtimes.get(*slot) {
                runtime.kill_all();
            }
        }
        Op::Pause(slot, capability) => {
            if let Some(isolate) = isolate(slot) {
                let made = world.capabilities.get(*capability);
                let made = made.unwrap_or_else(Capability::new);
                world.capabilities.put(*capability, made);
                isolate.pause_with(made);
            }
        }
        Op::Resume(slot, capability) => {
            if let Some(isolate) = isolate(slot) {
                let capability = world.capabilities.get(*capability);
                let capability = capability.or_else(|| isolate.pause_capability());
                capability.into_iter().for_each(|it| isolate.resume(it));
            }
        }
        Op::StashCurrent(slot) => keep(at, *slot, Isolate::current()),
        _ => return listeners(op, at),
    }
    true
}

fn listeners(op: &Op, at: &At) -> bool {
    let world = &at.world;
    let isolate = |slot: &Slot| world.isolates.get(*slot);
    let both = |slot: &Slot, port: &Slot| isolate(slot).zip(world.ports.get(*port));
    match op {
        Op::PingPort(slot, port, at_priority) => {
            if let Some((isolate, port)) = both(slot, port) {
                isolate.ping_port(&port, Letter::new(at.token()), priority(*at_priority));
            }
        }
        Op::RunAt(slot, at_priority, inside) => {
            if let Some(isolate) = isolate(slot) {
                let hook = at.hook(inside);
                let reply = isolate.run_at(priority(*at_priority), move || {
                    hook.run();
                    hook.at().token()
                });
                world.replies.put(*at_priority, reply);
            }
        }
        Op::OnExit(slot, port, response) => {
            if let Some((isolate, port)) = both(slot, port) {
                let hook = at.hook(response);
                isolate.add_exit_listener(&port, move |_| {
                    run(hook.script(), hook.at());
                    Letter::new(hook.at().token())
                });
            }
        }
        Op::RemoveOnExit(slot, port) => {
            if let Some((isolate, port)) = both(slot, port) {
                isolate.remove_exit_listener(&port);
            }
        }
        Op::OnError(slot) => {
            if let Some(isolate) = isolate(slot)
                && Isolate::current().is_some()
            {
                let errors = isolate.errors();
                errors.listen(drop);
            }
        }
        Op::SetErrorsFatal(slot, are_fatal) => {
            if let Some(isolate) = isolate(slot) {
                let policy = if are_fatal.0 {
                    ErrorPolicy::End
                } else {
                    ErrorPolicy::Continue
                };
                isolate.set_error_policy(policy);
            }
        }
        _ => return false,
    }
    true
}
