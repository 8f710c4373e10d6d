//! The `window` command: a fractal that is computed by isolates and shown by winit.
#![forbid(unsafe_code)]

mod app;
mod cli;
mod screen;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use insula::embed::RootIsolate;
use insula::embed::{MessageLoop, UiBinding};
use insula::{IsolateCell, Runtime, block_on};
use window::{Gauge, Load, Ui, start_pool};
use winit::event_loop::EventLoop;

use crate::app::{App, Wake};
use crate::cli::Options;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // An error cannot be reported anywhere if standard error is closed.
            let _ = writeln!(io::stderr().lock(), "window: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let window_system = EventLoop::<Wake>::with_user_event()
        .build()
        .map_err(|error| format!("there is no display to open a window on: {error}"))?;
    let _inspected = options.inspect.start("window")?;
    // The window system's loop owns the thread, so it drives our loop.
    let proxy = window_system.create_proxy();
    let ui_loop = MessageLoop::in_foreign_loop("ui", &Runtime::global(), move || {
        // Fails only after the window system's loop has ended, and then nothing needs to be woken.
        let _ = proxy.send_event(Wake);
    });
    let binding = UiBinding::new(&ui_loop, RootIsolate::builder("window"))
        .map_err(|error| error.to_string())?;
    let workers = options.workers();
    let pool = block_on(start_pool(workers)).map_err(|error| error.to_string())?;
    // Kept here too, so that it ends after the window.
    let pool = Arc::new(pool);
    let shown = pool.clone();
    let gauge = Gauge::new(move || Load::of(&Runtime::global(), &shown));
    let ui = binding
        .enter(|_| IsolateCell::new(Ui::new(options.size, pool.caller(), workers, gauge)))
        .ok_or("the isolate of the window has ended")?;
    let mut app = App::new(options, ui_loop, binding, ui);
    let ended = window_system.run_app(&mut app);
    ended.map_err(|error| error.to_string())?;
    app.finish(&mut io::stdout().lock())
}
