//! An isolate in glib's main loop, as in a program with GTK, without its widgets: a pool counts
//! primes, its answers are messages to the root isolate, and a source of glib's asks for frames.
//!
//! It ends by itself when everything has been seen, which takes seconds, or fails after a minute.
#![forbid(unsafe_code)]

mod adapter;

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::ops::Range;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use glib::{ControlFlow, MainLoop};
use insula::embed::{Frame, FrameHandler, UiBinding};
use insula::embed::RootIsolate;
use insula::{Context, Instant, WorkerPool, block_on, contract, sleep};

use crate::adapter::Adapter;

/// Counts primes.
#[contract]
trait Primes {
    /// Returns the number of primes in a range.
    async fn count(&self, cx: &Context, numbers: Range<u32>) -> Result<u32, Infallible>;
}

struct Counter;

impl Primes for Counter {
    async fn count(&self, _cx: &Context, numbers: Range<u32>) -> Result<u32, Infallible> {
        let is_prime = |n: u32| n > 1 && (2..).take_while(|d| d * d <= n).all(|d| n % d != 0);
        Ok(numbers.into_iter().filter(|n| is_prime(*n)).count() as u32)
    }
}

/// Numbers that are looked at, and by how many calls.
const NUMBERS: u32 = 2_000_000;
const CALLS: u32 = 100;
/// Primes below two million.
const PRIMES: u32 = 148_933;

/// The isolate's state. Not `Send`: it lives on glib's thread.
#[derive(Default)]
struct Progress {
    answers: Cell<u32>,
    primes: Cell<u32>,
    /// A timer of the isolate has fired.
    has_slept: Cell<bool>,
}

/// Draws what a progress bar would show.
struct Bar {
    progress: Rc<Progress>,
    drawn: Rc<Cell<u64>>,
}

impl FrameHandler for Bar {
    fn begin_frame(&mut self, _frame: &Frame) {}

    fn draw_frame(&mut self, frame: &Frame) {
        self.drawn.set(frame.number);
        if frame.number % 10 == 1 {
            println!(
                "frame {:>3}: {:>3} of {CALLS} answers, {:>6} primes",
                frame.number,
                self.progress.answers.get(),
                self.progress.primes.get()
            );
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("glib-loop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let adapter = Adapter::install("ui");
    let binding = Rc::new(UiBinding::new(
        adapter.message_loop(),
        RootIsolate::builder("root"),
    )?);
    let pool = block_on(
        WorkerPool::builder()
            .name("primes")
            .service::<PrimesResponder<_>>(|_| async { Ok(Counter) })
            .build(),
    )?;
    let progress = Rc::new(Progress::default());
    let counting = start(&binding, pool.caller(), &progress);
    counting.ok_or("the isolate has ended")?;

    let drawn = Rc::new(Cell::new(0));
    binding.set_frame_handler(Bar {
        progress: progress.clone(),
        drawn: drawn.clone(),
    });
    let main_loop = MainLoop::new(None, false);
    let quit = main_loop.clone();
    let (seen, frames) = (progress.clone(), binding.clone());
    // A display's clock, 60 times a second.
    glib::timeout_add_local(Duration::from_micros(16_667), move || {
        frames.begin_frame(Instant::now());
        if seen.answers.get() == CALLS && seen.has_slept.get() {
            quit.quit();
            return ControlFlow::Break;
        }
        ControlFlow::Continue
    });
    let late = main_loop.clone();
    glib::timeout_add_local_once(Duration::from_secs(60), move || late.quit());
    main_loop.run();

    let (answers, primes) = (progress.answers.get(), progress.primes.get());
    println!("{answers} answers, {primes} primes, {} frames", drawn.get());
    let is_right = (answers, primes) == (CALLS, PRIMES) && progress.has_slept.get();
    if is_right && drawn.get() > 0 {
        return Ok(());
    }
    Err("not everything has been seen".into())
}

/// Starts the isolate's work: calls to the pool, and a timer.
fn start(binding: &UiBinding, caller: PrimesCaller, progress: &Rc<Progress>) -> Option<()> {
    binding.enter(|pinned| {
        let counted = progress.clone();
        pinned.spawn_local(async move {
            let step = NUMBERS / CALLS;
            let calls = (0..CALLS).map(async |index| {
                let count = caller.count(index * step..(index + 1) * step).await;
                if let Ok(count) = count {
                    counted.primes.set(counted.primes.get() + count);
                    counted.answers.set(counted.answers.get() + 1);
                }
            });
            join_all(calls).await;
        });
        let slept = progress.clone();
        pinned.spawn_local(async move {
            sleep(Duration::from_millis(50)).await;
            slept.has_slept.set(true);
        });
    })
}
