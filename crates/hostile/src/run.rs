//! Interprets a program, and checks its effects.

mod calls;
mod flow;
mod futures;
mod isolates;
mod locals;
mod ports;
mod rounds;
mod runtimes;
mod waits;
mod waker;
mod whole;
mod world;

use std::pin::Pin;
use std::time::Duration;

use insula_core::Isolate;

use crate::program::{How, Kind, Op, Patience, Script};
use world::{At, Deeper, Guard, Place};

pub(crate) use whole::{Watched, execute};

/// Values that a script keeps until it ends.
#[derive(Default)]
struct Scope {
    guards: Vec<Guard>,
}

/// Runs a script on the current thread.
fn run(script: &Script, at: &At) {
    // Scripts nest deeper than the text of the program: a script may drop a value whose destructor
    // runs the next one.
    let Some(_deeper) = Deeper::enter() else {
        return;
    };
    let mut scope = Scope::default();
    for op in script.0.iter() {
        if !at.may_go_on() {
            return;
        }
        run_op(op, at, &mut scope);
    }
}

fn run_op(op: &Op, at: &At, scope: &mut Scope) {
    // First, since the operation may not return.
    calls::excuse(op, at);
    let is_done = flow::op(op, at, scope)
        || runtimes::op(op, at)
        || isolates::op(op, at)
        || ports::op(op, at)
        || waits::op(op, at)
        || futures::op(op, at)
        || calls::op(op, at);
    assert!(is_done, "an operation without a meaning");
}

/// Runs a script as a task: awaits whatever can be awaited.
fn run_async(script: Script, at: At) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut scope = Scope::default();
        for op in script.0.iter() {
            if !at.may_go_on() {
                return;
            }
            if let Op::Wait(awaited, How::Await()) = op {
                if let Some(future) = calls::make_announced(awaited, &at) {
                    future.await;
                }
            } else {
                // Around the operation and not the task, which may go on on another thread: the
                // depth belongs to the stack. At the limit, the scripts inside of the operation
                // find out by themselves.
                let _deeper = Deeper::enter();
                run_op(op, &at, &mut scope);
            }
        }
    })
}

/// Returns whether a wait without end may begin here. In an isolate a kill ends it, on threads of
/// place `Free` the end of the program does.
fn may_wait_forever(at: &At) -> bool {
    if Isolate::current().is_some() {
        return true;
    }
    at.world.program.kind == Kind::Threads && Place::here() == Place::Free
}

/// Returns how long to wait; `None` is without end.
fn patience(at: &At, patience: Patience) -> Option<Duration> {
    let short = Duration::from_millis(1);
    match patience.0 {
        Some(ms) => Some(Duration::from_millis(u64::from(ms.0))),
        None => (!may_wait_forever(at)).then_some(short),
    }
}
