//! Panics, destructors, threads: operations that need no isolate.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::time::Duration;

use insula_core::{Isolate, ReceivePort, Timer, catch_panic, checkpoint};

use super::world::{At, Guard, Place, at_thread_exit, contain};
use super::{Scope, run};
use crate::program::{Kind, Op, Script, Slot};

/// The panic payload of programs. It allocates nothing, so it may be leaked if its destructor would
/// run at a bad moment.
pub(crate) struct Hostile;

pub(crate) fn op(op: &Op, at: &At, scope: &mut Scope) -> bool {
    match op {
        // A panic during a panic would end the process, by the rules of the language.
        Op::Panic() if !std::thread::panicking() => panic_any(Hostile),
        Op::PanicWith(load) if !std::thread::panicking() => panic_any(at.parcel(&load.0)),
        Op::Panic() | Op::PanicWith(_) => {}
        Op::Catch(inside) => contain(|| run(inside, at)),
        Op::CatchPanic(inside) => drop(catch_panic(|| run(inside, at))),
        // Like a loop that logs errors and goes on: a kill unwinds out of each round.
        Op::Persist(inside) => (0..3).for_each(|_| contain(|| run(inside, at))),
        Op::Rethrow(inside) => {
            let caught = catch_unwind(AssertUnwindSafe(|| run(inside, at)));
            if let Err(payload) = caught {
                if std::thread::panicking() {
                    // Its destructor may panic, and a second panic may not leave a destructor
                    // either.
                    contain(|| drop(payload));
                } else {
                    resume_unwind(payload);
                }
            }
        }
        Op::Guard(on_drop) => scope.guards.push(Guard(at.hook(&on_drop.0))),
        Op::Unwind(on_drop) => {
            let _guard = Guard(at.hook(&on_drop.0));
            if !std::thread::panicking() {
                panic_any(Hostile);
            }
        }
        Op::Hold(on_drop) => hold(Guard(at.hook(&on_drop.0))),
        Op::Check() => checkpoint(),
        Op::Work(ms) => std::thread::sleep(Duration::from_micros(100 * u64::from(ms.0))),
        Op::Blocking(inside) => insula_core::blocking(|| run(inside, at)),
        Op::Thread(inside) => thread(inside, at, true),
        Op::BareThread(inside) => thread(inside, at, false),
        Op::HoldPanic(held_by, count) => (0..count.0).for_each(|_| hold_panic(*held_by)),
        Op::AtThreadExit(inside) => at_thread_exit(Guard(at.hook(&inside.0))),
        Op::Exit() if may_exit() => Isolate::exit_silently(),
        Op::ExitWith(port, load) if may_exit() => {
            let letter = super::world::Letter::new(at.parcel(&load.0));
            if let Some(port) = at.world.ports.get(*port) {
                Isolate::exit(&port, letter);
            }
        }
        Op::Exit() | Op::ExitWith(..) => {}
        _ => return false,
    }
    true
}

/// Keeps a guard until the isolate ends. Outside of isolates, drops it at once.
fn hold(guard: Guard) {
    if Isolate::current().is_some() {
        insula_core::spawn_local(async move {
            std::future::pending::<()>().await;
            drop(guard);
        });
    }
}

/// Keeps a value whose destructor always panics until the isolate ends. Only the teardown drops it,
/// in a task, a timer, or a message that is never received.
fn hold_panic(held_by: Slot) {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic_any(Hostile);
        }
    }
    if Isolate::current().is_none() || std::thread::panicking() {
        return;
    }
    let value = Panics;
    match held_by.0 {
        0 => insula_core::spawn_local(async move {
            std::future::pending::<()>().await;
            drop(value);
        }),
        1 => {
            // Later than any program lasts, also in virtual time.
            Timer::after(Duration::from_secs(3600), move || drop(value));
        }
        _ => {
            let receiver = ReceivePort::<Panics>::new();
            let _ = receiver.send_port().send(value);
            insula_core::spawn_local(async move {
                std::future::pending::<()>().await;
                drop(receiver);
            });
        }
    }
}

fn may_exit() -> bool {
    !std::thread::panicking() && Isolate::current().is_some()
}

/// Starts a thread. A seeded program waits for it at once, since its order of events follows from
/// its seed.
fn thread(inside: &Script, at: &At, enters: bool) {
    let outside = At {
        world: at.world.clone(),
        home: None,
    };
    let hook = outside.hook(inside);
    let is_seeded = at.world.program.kind == Kind::Seeded;
    let body = move || {
        let place = if is_seeded {
            Place::Elsewhere
        } else {
            Place::Free
        };
        let _place = place.set();
        contain(|| {
            let runtime = enters
                .then(|| hook.at().world.runtimes.get(Slot(0)))
                .flatten();
            let _entered = runtime.as_ref().map(insula_core::Runtime::enter);
            hook.run();
            // Locks that this thread holds would stay locked.
            for lock in &hook.at().world.raw_locks {
                // An error says that this thread does not hold it.
                let _ = lock.unlock();
            }
        });
    };
    // Without the thread its script never runs, which is no fault of the library.
    let Ok(handle) = std::thread::Builder::new().spawn(body) else {
        return;
    };
    if is_seeded {
        let _ = handle.join();
    } else {
        at.world.threads.lock().push(handle);
    }
}
