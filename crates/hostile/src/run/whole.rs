//! Runs one program from its start to its end.
//!
//! The program runs on its own thread, so that the thread's state ends with it. After the main
//! script the runtime must still work. Then everything is shut down, which must end all waits of
//! isolates. Last, everything that threads outside of isolates wait for is closed.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use insula_core::{Isolate, Runtime, one_shot, sleep};
use insula_sync::atomic::{AtomicBool, Ordering};

use super::world::{At, Place, World, contain, drop_entered};
use super::{calls, locals, rounds, run};
use crate::oracle::{Memory, Residents};
use crate::program::{Kind, Program, Slot, WITH_CALLS};

/// A watchdog's view of a running program.
#[derive(Clone)]
pub(crate) struct Watched(Arc<World>);

impl Watched {
    /// Returns the unfinished operations.
    pub(crate) fn unfinished(&self) -> String {
        self.0.ledger.unfinished()
    }
}

/// Runs a program, repeatedly if it seems to have leaked memory, and returns its faults. `watch`
/// receives what to watch. The first program of a process finds the library unused.
pub(crate) fn execute(program: &Program, watch: impl Fn(Option<Watched>)) -> Vec<String> {
    /// The spent blocks that a thread of the global runtime keeps at most. These threads stay.
    const KEPT: usize = 8;
    static IS_USED: AtomicBool = AtomicBool::new(false);
    let mut leaks = Vec::new();
    // More leaks in a row than such threads can keep are a fault. The first program has not used the
    // global runtime yet.
    while leaks.is_empty() || leaks.len() < KEPT * (1 + Runtime::global().thread_count()) {
        let is_used = IS_USED.swap(true, Ordering::Relaxed);
        let threads = if is_used {
            Runtime::global().thread_count()
        } else {
            0
        };
        let before = Residents::now();
        let memory = Memory::now();
        let faults = execute_once(program, before, &watch);
        if !faults.is_empty() {
            return faults;
        }
        if !is_used {
            // What the first use leaves is not a leak, so the program runs again before it is
            // judged.
            warm_up();
            continue;
        }
        if let Err(left) = before.settle() {
            return vec![left];
        }
        let now = Memory::now();
        if !now.has_grown(memory) {
            return Vec::new();
        }
        // A thread that the global runtime has started meanwhile stays, and keeps blocks of its
        // own.
        if Runtime::global().thread_count() == threads {
            leaks.push(now.blocks - memory.blocks);
        }
    }
    leaks.sort_unstable();
    // The median: a single run may leave more, because of the threads' order.
    let usual = leaks[leaks.len() / 2];
    vec![format!("blocks of memory are left, each time: {usual}")]
}

/// Makes the global runtime start its permanent threads.
fn warm_up() {
    let global = Runtime::global();
    global.block_on(sleep(Duration::from_millis(1)));
    let _ = Isolate::run(|| insula_core::blocking(|| ())).wait();
}

fn execute_once(
    program: &Program,
    before: Residents,
    watch: &impl Fn(Option<Watched>),
) -> Vec<String> {
    let world = World::new(program.clone());
    watch(Some(Watched(world.clone())));
    locals::set_current(Some(world.clone()));
    // A thread's caches, such as spent blocks of memory, end with it.
    for step in [drive, tidy_up] {
        let inner = world.clone();
        let thread = std::thread::Builder::new()
            .name("driver".to_owned())
            .spawn(move || step(&inner, before));
        match thread.map(JoinHandle::join) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => world.ledger.fault("the program's thread panicked"),
            Err(error) => world.ledger.fault(format!("no thread: {error}")),
        }
    }
    locals::set_current(None);
    watch(None);
    world.ledger.close()
}

fn drive(world: &Arc<World>, before: Residents) {
    let at = At {
        world: world.clone(),
        home: None,
    };
    contain(|| run(&world.program.prelude, &at));
    let builder = Runtime::builder().name("hostile");
    let runtime = match world.program.kind {
        Kind::Seeded => builder.seeded(world.program.seed).build(),
        Kind::Threads => builder.threads(usize::from(world.program.threads)).build(),
    };
    world.all_runtimes.lock().push(runtime.clone());
    world.runtimes.put(Slot(0), runtime.clone());
    rounds::execute(&at, &runtime);
    {
        let _place = Place::Driver.set();
        let _entered = runtime.enter();
        contain(|| run(&world.program.main, &at));
    }
    let linger = Duration::from_millis(u64::from(world.program.linger.0));
    runtime.block_on(sleep(linger));
    probe(&runtime);
    if world.program.seed >= WITH_CALLS {
        calls::probe(&at, &runtime);
    }
    world.is_ending.store(true, Ordering::SeqCst);
    if world.program.clears_first {
        contain(|| world.clear());
    }
    shut_down_all(world);
    finish(world, before, 1);
    // A seeded program keeps its guards on this thread.
    (0..3).map(Slot).for_each(drop_entered);
    if let Err(error) = Isolate::run(|| ()).wait() {
        world
            .ledger
            .fault(format!("the thread is left entered: {error}"));
    }
}

/// Cleans up what the end of the first thread left.
fn tidy_up(world: &Arc<World>, before: Residents) {
    finish(world, before, 1);
    calls::check_at_end(world);
    told(world);
}

/// Checks that the runtime still works.
fn probe(runtime: &Runtime) {
    runtime.block_on(sleep(Duration::from_millis(1)));
    let (answer, reply) = one_shot();
    Isolate::builder()
        .runtime(runtime)
        .spawn(move |()| answer.send(()), ());
    // There is no answer if something killed the isolate, but the wait ends.
    let _ = runtime.block_on(reply);
}

fn shut_down_all(world: &World) {
    loop {
        let next = world.all_runtimes.lock().pop();
        let Some(runtime) = next else { return };
        runtime.shut_down();
    }
}

/// Ends everything that is not an isolate of the program: threads, native ports' handlers, and
/// isolates of the global runtime. `own` threads of the program are still needed.
fn finish(world: &World, before: Residents, own: usize) {
    let start = Instant::now();
    let global = Runtime::global();
    loop {
        contain(|| world.close_all());
        shut_down_all(world);
        let mut threads = world.threads.lock();
        let all = std::mem::take(&mut *threads);
        let (ended, others) = all.into_iter().partition(JoinHandle::is_finished);
        *threads = others;
        let is_joined = threads.is_empty();
        drop(threads);
        let ended: Vec<JoinHandle<()>> = ended;
        for thread in ended {
            drop(thread.join());
        }
        if global.isolate_count() > 0 {
            // Programs spawn isolates there too, and it is the one runtime that is never shut down.
            global.kill_all();
        } else if is_joined {
            // Threads that are left after a while are reported elsewhere.
            if before.has_at_most(own) || start.elapsed() > Duration::from_secs(3) {
                break;
            }
        }
        // No event tells that a thread has ended, so this looks again.
        std::thread::sleep(Duration::from_micros(50));
    }
    // The threads that have ended since the last round may have filled tables again.
    contain(|| world.close_all());
}

/// Asks for the ends of isolates that have no exit listener.
fn told(world: &World) {
    let exits = std::mem::take(&mut *world.exits.lock());
    for (number, mut exited) in exits {
        let mut cx = Context::from_waker(Waker::noop());
        // All runtimes are shut down, so that an end which is told at all is told by now.
        if std::pin::Pin::new(&mut exited).poll(&mut cx).is_ready() {
            world.ledger.told(number);
        }
    }
}
