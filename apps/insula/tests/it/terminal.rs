//! A terminal for tests of the whole screen: a server of tmux with a name of its own.
//!
//! Tests that need it are left out on machines without tmux, unless `INSULA_TERMINAL` says that it is
//! required, as the full run of the tests does. What is drawn, and what keys mean, is held by the tests
//! in the sources, which need no terminal.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Long enough for a loaded machine. A test waits for it only if it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const STEP: Duration = Duration::from_millis(50);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A terminal with a shell that has run one command. It ends when this is dropped.
pub(crate) struct Terminal {
    /// Only this test's server is there.
    socket: PathBuf,
    _folder: TempDir,
}

impl Terminal {
    /// Runs a line of a shell in a new terminal. Returns `None` on a machine without tmux, if it is not
    /// required.
    pub(crate) fn run(line: &str, columns: u16, rows: u16) -> Option<Self> {
        let has_tmux = Command::new("tmux").arg("-V").output().is_ok();
        if !has_tmux {
            let is_required = std::env::var_os("INSULA_TERMINAL").is_some();
            assert!(!is_required, "tmux cannot be run: install it");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = folder.path().join(format!("{}-{number}", id()));
        let terminal = Self {
            socket,
            _folder: folder,
        };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        // What the line leaves on the screen can be looked at after its end.
        let line = format!(
            "{line}; s=$?; stty -a | tr -s '; ' '\\n' | grep -x -e echo -e -echo; \
             echo status $s; sleep 600"
        );
        let arguments = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            "sh",
            "-c",
            &line,
        ];
        let output = terminal.tmux(&arguments);
        assert!(output.status.success(), "{output:?}");
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        // In any locale it is to draw what programs write.
        command.args(["-u", "-S"]).arg(&self.socket).args(arguments);
        // It must not take the one in which the tests themselves may run for its own.
        command.env_remove("TMUX").stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Presses keys, by the names that tmux has for them.
    pub(crate) fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// Returns what is on the screen.
    pub(crate) fn text(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Returns the sequences on the screen that set a color.
    pub(crate) fn colors(&self) -> Vec<String> {
        let output = self.tmux(&["capture-pane", "-p", "-e"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let sequences = text.split("\u{1b}[").skip(1);
        let numbers = sequences.filter_map(|it| it.split_once('m').map(|(numbers, _)| numbers));
        let is_color = |numbers: &&str| {
            let mut numbers = numbers.split([';', ':']).map(|it| it.parse().unwrap_or(0));
            numbers.any(|number: u32| matches!(number, 30..=38 | 40..=48 | 90..=107))
        };
        numbers.filter(is_color).map(str::to_owned).collect()
    }

    /// Returns the screen once it has a text.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if text.contains(part) {
                return text;
            }
            assert!(start.elapsed() < PATIENCE, "no {part:?} in:\n{text}");
            thread::sleep(STEP);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
