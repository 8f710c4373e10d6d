//! Looks at a program with the inspector's page in a browser.
//!
//! The program is the example `inspected` of the façade. The browser is driven over its own protocol,
//! with the mouse and with keys. What a click has changed is asked over a second connection to the
//! program, which does not depend on what the page believes. The pictures are in `target/inspector`.

mod page;
mod remote;
mod views;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Trouble, Verdict, cargo, packages, pass};
use page::Page;
use remote::Remote;

/// The size of the window in pixels.
const SIZE: (u32, u32) = (1280, 800);

/// The longest time for the browser to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program ends by itself, should this one be killed.
const MOST_SECONDS: &str = "600";

/// The bar for the first paint on loopback, of the best of some loads: other work on the machine
/// makes a load slower, and never faster. While none is below the bar, more are made.
const FIRST_PAINT_MS: f64 = 100.0;
const LOADS: usize = 5;
const MOST_LOADS: usize = 25;

/// A page with nothing but a text. A machine on which it takes more than half of the bar is too busy
/// for that, and then the page of the inspector may take twice as long.
const EMPTY: &str = "data:text/html,<p>Empty";

/// Isolates that change each second while frames are counted.
const BUSY: &str = "10000";

/// Drawing without a graphics card, on a machine with other work, may be so much slower than the 60
/// frames of a screen.
const FEWEST_FRAMES: f64 = 30.0;

/// Uses each view of the page, and measures how fast it is.
pub(super) fn look_at_page(root: &Path) -> Verdict {
    packages::require(&["chromium"], || packages::has_program("chromium"))?;
    let mut build = cargo(root);
    build.args(["build", "--profile", "optimized", "--package", "insula"]);
    pass(build.args(["--features", "inspect", "--example", "inspected"]))?;
    let folder = root.join("target").join("inspector");
    fs::create_dir_all(&folder).map_err(failed)?;
    let browser = Browser::start(&folder)?;
    {
        let program = Program::start(root, &[])?;
        let mut page = Page::open(browser.connect()?, SIZE)?;
        views::visit(&mut page, &program, &folder)?;
        first_paint(&mut page, &program)?;
    }
    let program = Program::start(root, &["--busy", BUSY])?;
    let mut page = Page::open(browser.connect()?, SIZE)?;
    frames(&mut page, &program)
}

/// Loads the page some times, and looks at the time until the browser has painted something of it.
fn first_paint(page: &mut Page, program: &Program) -> Verdict {
    let (mut empty, mut times) = (Vec::new(), Vec::new());
    let best = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let is_fast =
        |empty: &[f64], times: &[f64]| best(times) < FIRST_PAINT_MS.max(2.0 * best(empty));
    while times.len() < LOADS || times.len() < MOST_LOADS && !is_fast(&empty, &times) {
        empty.push(paint(page, EMPTY)?);
        times.push(paint(page, &program.address)?);
    }
    println!("first paint: {times:.0?} ms; of an empty page: {empty:.0?} ms");
    match is_fast(&empty, &times) {
        true => Ok(()),
        false => Err(failed(format!(
            "the first paint takes {:.0} ms, that of an empty page {:.0} ms",
            best(&times),
            best(&empty)
        ))),
    }
}

/// Loads an address, and returns the milliseconds until its first paint.
fn paint(page: &mut Page, address: &str) -> Result<f64, Trouble> {
    page.load(address)?;
    let paint = "performance.getEntriesByType('paint')[0]?.startTime";
    page.wait("a first paint", paint)?;
    let time = page.value(paint)?.as_f64();
    time.ok_or_else(|| failed("the first paint has no time"))
}

/// Counts the frames while many isolates change, at rest and while the table is scrolled.
fn frames(page: &mut Page, program: &Program) -> Verdict {
    page.load(&program.address)?;
    page.click("#tab-isolates", "")?;
    page.wait(
        "a table of all isolates",
        "tools.text('#isolates .counts').startsWith('10,')",
    )?;
    let scroll = "
        const scroller = tools.find('.scroller');
        const timer = setInterval(() => { scroller.scrollTop += 150; }, 16);
        tools.frameRate(3).finally(() => clearInterval(timer))";
    for (what, expression) in [
        ("a table at rest", "tools.frameRate(3)"),
        ("one that is scrolled", scroll),
    ] {
        let rate = page.value(expression)?.as_f64().unwrap_or_default();
        println!("frames per second of {what}, of {BUSY} isolates that change: {rate:.1}");
        if rate < FEWEST_FRAMES {
            return Err(failed(format!("{what} has {rate:.1} frames per second")));
        }
    }
    match page.take_complaints()?.as_slice() {
        [] => Ok(()),
        complaints => Err(failed(format!("the browser complains: {complaints:?}"))),
    }
}

fn failed(error: impl ToString) -> Trouble {
    Trouble::Failed(error.to_string())
}

/// A process that is killed when its step ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that the process has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that is looked at.
struct Program {
    _process: Running,
    /// The address of its inspector, with the token.
    address: String,
}

impl Program {
    fn start(root: &Path, arguments: &[&str]) -> Result<Self, Trouble> {
        // Not by `cargo run`: a kill of cargo would leave the program behind.
        let mut command = Command::new(examples(root).join("inspected"));
        command.args(["--seconds", MOST_SECONDS]).args(arguments);
        let started = command.stdout(Stdio::piped()).spawn();
        let mut process = Running(started.map_err(failed)?);
        let output = process.0.stdout.take().ok_or_else(|| failed("no output"))?;
        let mut address = String::new();
        BufReader::new(output)
            .read_line(&mut address)
            .map_err(failed)?;
        let address = address.trim().to_owned();
        match address.contains("/#") {
            true => Ok(Self {
                _process: process,
                address,
            }),
            false => Err(failed(format!(
                "the program has printed no address: {address}"
            ))),
        }
    }

    /// Connects to its inspector without the page.
    fn connect(&self) -> Result<Remote, Trouble> {
        let (place, token) = self.address.split_once('#').unwrap_or_default();
        let socket = place.replacen("http", "ws", 1) + "ws";
        let mut remote = Remote::connect(&socket, Some(token))?;
        remote.envelope.insert("jsonrpc".to_owned(), json!("2.0"));
        Ok(remote)
    }
}

/// Returns the folder of the examples that were built.
fn examples(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), |folder| root.join(folder));
    target.join("optimized").join("examples")
}

/// A headless browser.
struct Browser {
    _process: Running,
    /// The address of its protocol.
    address: String,
}

impl Browser {
    fn start(folder: &Path) -> Result<Self, Trouble> {
        let profile = folder.join("profile");
        if profile.exists() {
            fs::remove_dir_all(&profile).map_err(failed)?;
        }
        let log = File::create(folder.join("chromium.log")).map_err(failed)?;
        let mut command = Command::new("chromium");
        // The sandbox needs rights that a container does not give, and the page is our own.
        command.args(["--headless", "--no-sandbox", "--disable-gpu"]);
        command.args(["--no-first-run", "--remote-debugging-port=0"]);
        command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
        command.arg(format!("--user-data-dir={}", profile.display()));
        let started = command
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let mut process = Running(started.map_err(failed)?);
        // It writes the file once it listens: the port, and the path of its protocol.
        let file = profile.join("DevToolsActivePort");
        let start = Instant::now();
        loop {
            let content = fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = content.trim().split_once('\n') {
                let address = format!("ws://127.0.0.1:{port}{path}");
                return Ok(Self {
                    _process: process,
                    address,
                });
            }
            let has_ended = process.0.try_wait().map_err(failed)?.is_some();
            if has_ended || start.elapsed() > PATIENCE {
                return Err(failed(
                    "chromium does not start; see chromium.log in target/inspector",
                ));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn connect(&self) -> Result<Remote, Trouble> {
        Remote::connect(&self.address, None)
    }
}

/// Returns the isolate or pool of a name, as the program itself tells it.
fn find(remote: &mut Remote, name: &str) -> Result<Option<Value>, Trouble> {
    let answer = remote.call("getIsolates", json!({ "filter": name, "limit": 10 }))?;
    let isolates = answer["isolates"].as_array().cloned().unwrap_or_default();
    Ok(isolates
        .into_iter()
        .find(|isolate| isolate["name"] == json!(name)))
}
