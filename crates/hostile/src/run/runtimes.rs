//! Runtimes, isolate-local values and root isolates.

use std::time::Duration;

use insula_core::{Isolate, IsolateCell, ReceivePort, RootIsolate, Runtime};

use super::world::{At, Guard, Parcel, Place, drop_entered, stash_entered};
use super::{locals, run};
use crate::program::{Flag, Kind, Op, RootEnd, Script, Slot};

pub(crate) fn op(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::NewRuntime(slot, threads) => new_runtime(at, *slot, threads.0),
        Op::ShutDown(slot) => shut_down(at, *slot),
        Op::ShutDownUnderBlockOn(slot) => {
            if Isolate::current().is_some() && world.program.kind == Kind::Threads {
                let inner = at.clone();
                let slot = *slot;
                insula_core::block_on(async move { shut_down(&inner, slot) });
            }
        }
        Op::Enter(slot, inside) => {
            if let Some(runtime) = world.runtimes.get(*slot) {
                let _entered = runtime.enter();
                run(inside, at);
            }
        }
        Op::StashEntered(slot, entered) => {
            if let Some(runtime) = world.runtimes.get(*slot) {
                stash_entered(*entered, runtime.enter());
            }
        }
        Op::DropEntered(entered) => drop_entered(*entered),
        Op::Advance(slot, ms) => {
            if let Some(runtime) = world.runtimes.get(*slot)
                && world.program.kind == Kind::Seeded
            {
                runtime.advance(Duration::from_millis(u64::from(ms.0)));
            }
        }
        Op::WithLocal(slot, inside) => {
            // `with` panics outside of isolates and after their end.
            if Isolate::current().is_some() && !std::thread::panicking() {
                locals::with(*slot, || run(inside, at));
            }
        }
        Op::WithCell(inside) => {
            if Isolate::current().is_some() {
                let cell = IsolateCell::new(at.token());
                cell.with(|_: &mut Parcel| {
                    run(inside, at);
                    assert!(cell.try_with(|_| ()).is_err(), "a cell was opened twice");
                });
            }
        }
        Op::Root(notify, pauses, entry, entered, end) => {
            root(at, notify, *pauses, entry, entered, end);
        }
        _ => return false,
    }
    true
}

fn new_runtime(at: &At, slot: Slot, threads: u8) {
    let world = &at.world;
    // The first place is that of the runtime which the program runs on.
    if slot.0 == 0 || world.runtimes.get(slot).is_some() {
        return;
    }
    let builder = Runtime::builder().name("hostile");
    let runtime = match world.program.kind {
        // A seeded runtime is driven by its user, and programs drive only their first one.
        Kind::Seeded => return,
        Kind::Threads => builder.threads(usize::from(threads)).build(),
    };
    world.all_runtimes.lock().push(runtime.clone());
    world.runtimes.put(slot, runtime);
}

/// Shuts a runtime down. In an isolate of the same runtime the call is refused. Elsewhere it could
/// wait for code that waits for this thread, so it has a time-out.
fn shut_down(at: &At, slot: Slot) {
    let Some(runtime) = at.world.runtimes.get(slot) else {
        return;
    };
    if at.home == Some(slot) && Isolate::current().is_some() {
        runtime.shut_down();
    } else if at.world.program.kind == Kind::Threads {
        let _ = runtime.shut_down_timeout(Duration::from_millis(1));
    }
}

fn root(at: &At, notify: &Script, pauses: Flag, entry: &Script, entered: &Script, end: &RootEnd) {
    let place = Place::here();
    // On threads, the driver could not end what waits in the isolate.
    let may_host = match at.world.program.kind {
        Kind::Seeded => place == Place::Driver,
        Kind::Threads => place == Place::Free,
    };
    if Isolate::current().is_some() || !may_host {
        return;
    }
    let _place = Place::Elsewhere.set();
    let Some(runtime) = at.world.runtimes.get(Slot(0)) else {
        return;
    };
    let home = At {
        world: at.world.clone(),
        home: Some(Slot(0)),
    };
    let notified = at.hook(notify);
    let mut builder = RootIsolate::builder("hostile").runtime(&runtime);
    if pauses.0 {
        builder = builder.pause_on_start();
    }
    let builder = builder.notify(move || {
        let _place = Place::Elsewhere.set();
        notified.run();
    });
    let entry = home.hook(entry);
    let mut root = builder.spawn(move |()| entry.run(), ());
    let number = at.world.ledger.isolate();
    at.world
        .exits
        .lock()
        .push((number, root.isolate().exited()));
    if pauses.0 {
        root.resume();
    }
    let at_end = Guard(at.hook(&Script::default()));
    // A few, and not until there are none: a script may send to its own isolate without end.
    for _ in 0..3 {
        root.handle_message();
    }
    let hook = home.hook(entered);
    root.enter(move |pinned| {
        let shared = std::rc::Rc::new(hook);
        let inner = shared.clone();
        pinned.listen(ReceivePort::<()>::new(), move |()| inner.run());
        shared.run();
    });
    for _ in 0..3 {
        root.handle_message();
    }
    match end {
        RootEnd::Looped() if place == Place::Free => drop(root.run_event_loop()),
        RootEnd::Dropped() => drop(root),
        RootEnd::ShutDown() | RootEnd::Looped() => drop(root.shut_down()),
    }
    drop(at_end);
}
