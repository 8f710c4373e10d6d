//! What counting costs: allocates and frees a million times, with or without `Tracking`.
//!
//! ```sh
//! cargo build --release -p insula-memory --example counting
//! valgrind --tool=callgrind target/release/examples/counting plain
//! valgrind --tool=callgrind target/release/examples/counting tracking
//! ```
//!
//! The difference of the instructions, by a million, is the cost of a pair. Without valgrind the
//! program prints the time of a pair, the shortest of many runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::hint::black_box;
use std::time::Instant;

use insula_memory::Tracking;

const PAIRS: u32 = 1_000_000;
const RUNS: usize = 50;

static TRACKING: Tracking = Tracking::new(System);

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["plain"] => pairs(&System),
        ["tracking"] => pairs(&TRACKING),
        _ => print_times(),
    }
}

/// Allocates and frees again and again.
#[inline(never)]
fn pairs(allocator: &impl GlobalAlloc) {
    let layout = black_box(Layout::new::<[u64; 8]>());
    for _ in 0..PAIRS {
        // SAFETY: the size of the layout is not zero.
        let memory = unsafe { allocator.alloc(layout) };
        let memory = black_box(memory);
        assert!(!memory.is_null(), "there is memory");
        // SAFETY: the memory is from this allocator and of this layout, and is freed once.
        unsafe { allocator.dealloc(memory, layout) };
    }
}

/// Prints the times of a pair. Runs of both kinds alternate, so that a disturbance concerns both.
#[expect(clippy::print_stdout, reason = "the output of this program")]
fn print_times() {
    let time = |run: &dyn Fn()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS)
    };
    let (mut plain, mut tracking) = (f64::MAX, f64::MAX);
    for _ in 0..RUNS {
        plain = plain.min(time(&|| pairs(&System)));
        tracking = tracking.min(time(&|| pairs(&TRACKING)));
    }
    println!("plain: {plain:.2} ns a pair, tracking: {tracking:.2} ns");
}
