//! The command in a terminal: a server of tmux with a name of its own.

use std::env::temp_dir;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Trouble, Verdict, cargo, failed, packages, pass};

/// The size of a usual terminal, for which the screens are made.
const SIZE: [&str; 4] = ["-x", "80", "-y", "24"];

const PATIENCE: Duration = Duration::from_secs(30);

/// The time in which a screen draws what a key has asked for, and the program answers.
const REST: Duration = Duration::from_millis(1500);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Runs the tests of the command that need a terminal, which are left out elsewhere.
pub(in crate::test) fn test_in_terminal(root: &Path) -> Verdict {
    packages::require(&["tmux"], || packages::has_program("tmux"))?;
    let mut tests = cargo(root);
    tests.env("INSULA_TERMINAL", "required");
    tests.args([
        "test",
        "--package",
        "insula-cli",
        "--test",
        "it",
        "--",
        "screen::",
        "signals::",
    ]);
    pass(&mut tests)
}

/// A terminal in which `insula top` runs. It ends when this is dropped.
pub(super) struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    pub(super) fn top(insula: &Path, address: &str) -> Result<Self, Trouble> {
        packages::require(&["tmux"], || packages::has_program("tmux"))?;
        // A server may still be ending when the next one starts.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let terminal = Self {
            socket: temp_dir().join(format!("insula-screens-{}-{number}", id())),
        };
        let mut new = terminal.command();
        new.args(["-f", "/dev/null", "new-session", "-d"])
            .args(SIZE);
        pass(new.arg(insula).args(["top", address]))?;
        terminal.wait_for("pid ")?;
        Ok(terminal)
    }

    /// Presses keys, by the names that tmux has for them, and returns the screen that has a text then,
    /// with one empty line in place of several.
    pub(super) fn show(&self, keys: &[&str], part: &str) -> Result<String, Trouble> {
        for key in keys {
            thread::sleep(REST);
            pass(self.command().args(["send-keys", key]))?;
        }
        thread::sleep(REST);
        self.wait_for(part)
    }

    fn wait_for(&self, part: &str) -> Result<String, Trouble> {
        let start = Instant::now();
        loop {
            let output = self.command().args(["capture-pane", "-p"]).output();
            let text = String::from_utf8_lossy(&output.map_err(failed)?.stdout).into_owned();
            if text.contains(part) {
                let mut lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
                // The room that a list has not filled says nothing.
                lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
                return Ok(lines.join("\n") + "\n");
            }
            if start.elapsed() > PATIENCE {
                return Err(failed(format!("no {part:?} in:\n{text}")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        // In any locale it is to draw what programs write.
        command.args(["-u", "-S"]).arg(&self.socket);
        command.env_remove("TMUX").stdin(Stdio::null());
        command
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.command().arg("kill-server").output();
    }
}
