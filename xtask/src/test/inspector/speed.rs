//! How fast the page is.
//!
//! Times and rates depend on what else the machine does, so they are printed, and not checked. What is
//! checked is the same on any machine: what the first paint waits for, what is loaded, and the time on
//! the CPU that the page's own thread needs for a frame.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::page::Page;
use super::{Program, Trouble, Verdict, failed};

/// A page with nothing but a text, for comparison.
const EMPTY: &str = "data:text/html,<p>Empty";

const LOADS: usize = 10;

const REST: Duration = Duration::from_millis(500);

/// A page and 17 files. Each one more is a connection more.
const MOST_REQUESTS: u64 = 19;
const MOST_BYTES: u64 = 135_000;

/// The time on the CPU for a frame, of which 60 are to fit into a second.
const MOST_FRAME_MS: f64 = 1000.0 / 60.0;

const SECONDS: f64 = 3.0;

/// Loads the page some times, without the tools of these tests, whose script would run before the first
/// paint.
pub(super) fn first_paint(page: &mut Page, program: &Program) -> Verdict {
    // The browser itself has things to do at its first page.
    paint(page, &program.address)?;
    let (mut empty, mut times) = (Vec::new(), Vec::new());
    for _ in 0..LOADS {
        empty.push(paint(page, EMPTY)?);
        times.push(paint(page, &program.address)?);
    }
    println!("first paint: {times:.0?} ms; of an empty page: {empty:.0?} ms");
    page.load(EMPTY)
}

/// Looks at what the browser has waited for.
pub(super) fn loading(page: &mut Page, program: &Program) -> Verdict {
    page.load(&program.address)?;
    page.wait("its first data", "tools.text('#overview .value') !== ''")?;
    let loading = page.value("tools.loading()")?;
    println!("what was loaded: {loading}");
    check(&loading)
}

fn check(loading: &Value) -> Verdict {
    let number = |name: &str| loading[name].as_u64().unwrap_or(u64::MAX);
    let problem = match () {
        () if loading["blocking"] != json!([]) => {
            "the first paint waits for more than the page itself"
        }
        () if loading["late"] != json!([]) => {
            "scripts are found late: each needs its name in begin.js"
        }
        () if number("requests") > MOST_REQUESTS => "there are many requests",
        () if number("bytes") > MOST_BYTES => "the page is large",
        () => return Ok(()),
    };
    Err(failed(format!("{problem}: {loading}")))
}

/// Loads an address, and returns the milliseconds until its first paint.
fn paint(page: &mut Page, address: &str) -> Result<f64, Trouble> {
    // The browser is still busy with the end of the page before, as it is not for a person.
    thread::sleep(REST);
    page.load(address)?;
    let paint = "performance.getEntriesByType('paint')[0]?.startTime";
    page.wait("a first paint", paint)?;
    let time = page.value(paint)?.as_f64();
    time.ok_or_else(|| failed("the first paint has no time"))
}

/// Counts the frames while many isolates change, at rest and while the table is scrolled, and looks at
/// the work for each.
pub(super) fn frames(page: &mut Page, program: &Program, isolates: &str) -> Verdict {
    page.load_program(&program.address)?;
    page.click("#tab-isolates", "")?;
    page.wait(
        "a table of all isolates",
        "tools.text('#isolates .counts').startsWith('10,')",
    )?;
    let rest = format!("tools.frameRate({SECONDS})");
    let scroll = format!(
        "
        const scroller = tools.find('.scroller');
        const timer = setInterval(() => {{ scroller.scrollTop += 150; }}, 16);
        tools.frameRate({SECONDS}).finally(() => clearInterval(timer))"
    );
    for (what, expression) in [("a table at rest", rest), ("one that is scrolled", scroll)] {
        let before = page.work_ms()?;
        let rate = page.value(&expression)?.as_f64().unwrap_or_default();
        let work = (page.work_ms()? - before) / (rate * SECONDS).max(1.0);
        println!(
            "{what}, of {isolates} isolates that change: {rate:.1} frames per second, with {work:.1} ms \
             on the CPU for each"
        );
        if work > MOST_FRAME_MS {
            return Err(failed(format!(
                "{what} needs {work:.1} ms on the CPU for a frame, of which {MOST_FRAME_MS:.1} are there"
            )));
        }
    }
    match page.take_complaints()?.as_slice() {
        [] => Ok(()),
        complaints => Err(failed(format!("the browser complains: {complaints:?}"))),
    }
}
