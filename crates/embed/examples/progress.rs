//! An isolate on the thread of a window: the progress of some work arrives as messages, and frames
//! draw it. The window system is one of three lines here.
//!
//! `cargo run -p insula-embed --example progress`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::mpsc;

use insula_core::{Instant, Isolate, ReceivePort, RootIsolate, Runtime, SendPort};
use insula_embed::{Flush, Frame, FrameHandler, MessageLoop, UiBinding};

const STEPS: u32 = 20;

/// The state of the window. Only one thread reaches it, so it needs no lock and need not be `Send`.
#[derive(Default)]
struct Progress {
    done: u32,
    /// The state that the last frame showed.
    shown: u32,
}

struct Painter(Rc<RefCell<Progress>>);

impl FrameHandler for Painter {
    fn begin_frame(&mut self, _frame: &Frame) {
        let mut progress = self.0.borrow_mut();
        progress.shown = progress.done;
    }

    fn draw_frame(&mut self, frame: &Frame) {
        let shown = self.0.borrow().shown as usize;
        let (done, left) = ("#".repeat(shown), ".".repeat(STEPS as usize - shown));
        println!("frame {:>2}: [{done}{left}]", frame.number);
    }
}

/// The work, in an isolate of the thread pool. It may compute or block; the window goes on.
fn work(steps: SendPort<u32>) {
    for step in 1..=STEPS {
        if steps.send(step).is_err() {
            // The window has closed, and nothing shows the rest.
            return;
        }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (waker, events) = mpsc::channel();
    // Called on any thread when the loop has something to do. It must only wake the window system,
    // which fails if that is gone.
    let wake = move || {
        let _ = waker.send(());
    };
    let ui = MessageLoop::in_foreign_loop("ui", &Runtime::current(), wake);
    let window = UiBinding::new(&ui, RootIsolate::builder("window"))?;

    let progress = Rc::new(RefCell::new(Progress::default()));
    window.set_frame_handler(Painter(progress.clone()));
    let state = progress.clone();
    let steps = window.enter(|pinned| {
        let port = ReceivePort::new();
        let steps = port.send_port();
        // By the right to start pinned work, since the listener's state cannot leave the thread.
        pinned.listen(port, move |step| state.borrow_mut().done = step);
        steps
    });
    Isolate::spawn(work, steps.ok_or("the isolate of the window has ended")?);

    // The window system: it sleeps until something wakes it, and draws where something has changed.
    while progress.borrow().shown < STEPS {
        events.recv()?;
        ui.flush_tasks(Flush::All);
        if progress.borrow().shown < progress.borrow().done {
            window.begin_frame(Instant::now());
        }
    }
    Ok(())
}
