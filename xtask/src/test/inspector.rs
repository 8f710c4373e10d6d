//! Looks at a program with the inspector's page in a browser.
//!
//! The program is the example `inspected` of the façade. The browser is driven over its own protocol,
//! with the mouse and with keys. What a click has changed is asked over a second connection to the
//! program, which does not depend on what the page believes. The pictures are in `target/inspector`.
//!
//! With `INSULA_PICTURES=renew`, the step also makes the layouts that it compares the page with, and the
//! pictures of the guide, anew.

mod layouts;
mod page;
mod palette;
mod pictures;
mod remote;
pub(super) mod screens;
mod speed;
mod views;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Trouble, Verdict, cargo, packages, pass};
use page::Page;
use remote::Remote;

/// The size of the window in pixels.
const SIZE: (u32, u32) = (1280, 800);

/// A phone, held upright.
const SMALL: (u32, u32) = (390, 844);

/// The longest time for the browser to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program ends by itself, should this one be killed.
const MOST_SECONDS: &str = "600";

/// Isolates that change each second while frames are counted.
const BUSY: &str = "10000";

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
        speed::first_paint(&mut Page::bare(browser.connect()?, SIZE)?, &program)?;
        let mut page = Page::open(browser.connect()?, SIZE)?;
        views::visit(&mut page, &program, &folder)?;
        speed::loading(&mut page, &program)?;
        layouts::compare(&browser, &program, root, &folder)?;
    }
    {
        let program = Program::start(root, &["--busy", BUSY])?;
        let mut page = Page::open(browser.connect()?, SIZE)?;
        speed::frames(&mut page, &program, BUSY)?;
    }
    match is_renewed() {
        true => pictures::renew(&browser, root),
        false => Ok(()),
    }
}

/// Returns whether what is kept of the page, its layouts and the pictures of the guide, is to be made
/// anew.
fn is_renewed() -> bool {
    std::env::var("INSULA_PICTURES").is_ok_and(|it| it == "renew")
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
    /// Kept open: the program may print more.
    _output: BufReader<ChildStdout>,
    /// The address of its inspector, with the token.
    address: String,
}

impl Program {
    fn start(root: &Path, arguments: &[&str]) -> Result<Self, Trouble> {
        // Not by `cargo run`: a kill of cargo would leave the program behind.
        let folder = folder_of(root, "optimized").join("examples");
        let mut command = Command::new(folder.join("inspected"));
        Self::run(command.args(["--seconds", MOST_SECONDS]).args(arguments))
    }

    /// Runs a program whose first line ends with the address. Its input stays open as long as this.
    fn run(command: &mut Command) -> Result<Self, Trouble> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = Running(started.map_err(failed)?);
        let output = process.0.stdout.take().ok_or_else(|| failed("no output"))?;
        let (mut output, mut line) = (BufReader::new(output), String::new());
        output.read_line(&mut line).map_err(failed)?;
        let address = line
            .split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned();
        match address.contains("/#") {
            true => Ok(Self {
                _process: process,
                _output: output,
                address,
            }),
            false => Err(failed(format!(
                "the program has printed no address: {line}"
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

/// Returns the folder of what was built with a profile.
fn folder_of(root: &Path, profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), |folder| root.join(folder));
    target.join(profile)
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
