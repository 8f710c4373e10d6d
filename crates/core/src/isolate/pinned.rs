//! Pinned isolates: one isolate, one thread, and state that need not be `Send`.
//!
//! The thread waits until its isolate is scheduled (it spins for a while, then parks), runs
//! slices, and ends with the isolate. The entry and the teardown run on that thread, so everything
//! `!Send` is made, polled and dropped there. What other threads may hold of the isolate (ports,
//! handles, wakers) reaches only the parts that any thread may touch.

#[cfg(all(test, not(loom)))]
mod tests;

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use insula_sync::wait;

use crate::event_loop::{SLICE_TURNS, run_slice};
use crate::isolate::{Home, Isolate, New, Settings};
use crate::memory::{Current, IsolateRef, Runnable};
use crate::panic;
use crate::port::{Listener, ReceivePort};
use crate::runtime::{Hosted, Runtime};

/// The time for which a pinned isolate's thread spins before it parks: some three times what it
/// costs to wake a thread on another, sleeping core (17 us, measured 2026-11).
const SPIN: Duration = Duration::from_micros(50);

pub(crate) fn spawn(
    runtime: &Runtime,
    settings: Settings,
    entry: impl FnOnce(Current<'_>) + Send + 'static,
) -> io::Result<Isolate> {
    if !runtime.core().has_threads() {
        // A seeded runtime runs everything on the thread that drives it.
        let new = New::create(runtime, None, settings);
        let handle = new.handle();
        new.start(entry);
        return Ok(handle);
    }
    let home = Arc::new(Home::thread());
    let name = settings.name();
    let new = New::create(runtime, Some(home.clone()), settings);
    let handle = new.handle();
    let isolate = handle.0.clone();
    let thread_name = name.unwrap_or_else(|| isolate.name());
    // Before the isolate starts, so that it can be abandoned if there is no thread for it.
    let started = runtime.core().new_thread(&thread_name).spawn(move || {
        let surroundings = isolate.runtime.surroundings().clone();
        surroundings.run(|| drive(&isolate, &home));
    });
    match started {
        Ok(_) => {
            new.start(entry);
            Ok(handle)
        }
        Err(error) => {
            new.abandon();
            Err(error)
        }
    }
}

fn drive(isolate: &IsolateRef, home: &Home) {
    let _hosted = Hosted::begin(&isolate.runtime);
    home.begin_thread();
    panic::install_hook();
    loop {
        wait_until_scheduled(isolate, home);
        if isolate.lane.is_dead() {
            return;
        }
        run_scheduled(isolate, home);
    }
}

/// Runs the isolate on its own thread until it is idle or has ended. It must be scheduled and must
/// not have ended.
fn run_scheduled(isolate: &IsolateRef, home: &Home) {
    // SAFETY: the isolate is scheduled (the caller's duty), and only its own thread, this one,
    // runs a pinned isolate.
    let mut runnable = unsafe { Runnable::from_raw(isolate.as_ptr()) };
    while let Some(again) = run_slice(runnable, &home.meter, SLICE_TURNS) {
        runnable = again;
    }
}

/// Spins, then parks, until the isolate is scheduled. A dead isolate stays scheduled, so this
/// returns after its end too.
fn wait_until_scheduled(isolate: &IsolateRef, home: &Home) {
    let start = std::time::Instant::now();
    let mut spins = 0u32;
    loop {
        match isolate.lane.peek_scheduled() {
            Some(true) => return,
            // A sender that schedules the isolate after this look unparks the thread. The parker
            // keeps that token, so no wake-up is lost.
            Some(false) if spins % 64 == 63 && start.elapsed() > SPIN => home.park(),
            _ => wait::spin(),
        }
        spins = spins.wrapping_add(1);
    }
}

/// Proof that the code runs in a pinned isolate, on its thread, and so may start `!Send` tasks and
/// handlers.
#[derive(Clone, Copy, Debug)]
pub struct Pinned(PhantomData<*const ()>);

impl Pinned {
    pub(crate) fn here() -> Self {
        Self(PhantomData)
    }

    /// Like [`spawn_local`](crate::spawn_local), for futures that need not be `Send`.
    pub fn spawn_local(self, future: impl Future<Output = ()> + 'static) {
        Current::with(|isolate| {
            if let Some(isolate) = isolate {
                isolate.spawn_task(Box::pin(future));
            }
        });
    }

    /// Like [`ReceivePort::listen`], for handlers that need not be `Send`.
    ///
    /// # Panics
    /// If the port belongs to another isolate.
    pub fn listen<T: Send + 'static>(
        self,
        port: ReceivePort<T>,
        handler: impl FnMut(T) + 'static,
    ) -> Listener<T> {
        port.listen_here(handler)
    }
}
