//! The program of the guide's chapter on embedding.
//!
//! `cargo run -p insula-guide --bin embedding`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::sync::mpsc;

use insula::embed::RootIsolate;
use insula::embed::{Flush, MessageLoop, UiBinding};
use insula::{Isolate, ReceivePort, Runtime};

/// Stands for the window system: it owns the main thread, and sleeps until there is an event.
struct Window {
    events: mpsc::Receiver<()>,
    waker: mpsc::Sender<()>,
}

impl Window {
    fn open() -> Self {
        let (waker, events) = mpsc::channel();
        Self { events, waker }
    }

    /// Calls `handle` for every event, until that returns `false`.
    fn run(&self, mut handle: impl FnMut() -> bool) -> Result<(), mpsc::RecvError> {
        while handle() {
            self.events.recv()?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let window = Window::open();
    let waker = window.waker.clone();
    // Called on any thread. It only wakes the window system, and fails only if that is gone.
    let wake = move || {
        let _ = waker.send(());
    };
    let ui = MessageLoop::in_foreign_loop("ui", &Runtime::current(), wake);
    let binding = UiBinding::new(&ui, RootIsolate::builder("ui"))?;

    // The state of this thread need not be `Send`.
    let is_open = Rc::new(Cell::new(true));
    let closes = is_open.clone();
    let results = binding.enter(|pinned| {
        let port = ReceivePort::new();
        let results = port.send_port();
        pinned.listen(port, move |sum: u64| {
            println!("the window shows {sum}");
            closes.set(false);
        });
        results
    });
    let results = results.ok_or("the isolate has ended")?;

    // The work runs in an isolate of the pool, and the window stays responsive.
    Isolate::spawn(move |count: u64| results.send((1..=count).sum()), 1_000_000);
    window.run(|| {
        ui.flush_tasks(Flush::All);
        is_open.get()
    })?;
    Ok(())
}
// ANCHOR_END: program
