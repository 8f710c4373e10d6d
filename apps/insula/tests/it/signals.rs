//! Risk: a terminal that is of no use after a signal, or a screen that does not come back.
#![cfg(unix)]

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::inspector::Inspector;
use crate::terminal::Terminal;

/// The whole screen in a terminal, with the number of its process in a file.
struct Screen {
    terminal: Terminal,
    folder: TempDir,
    _inspector: Inspector,
}

impl Screen {
    /// Returns `None` on a machine without tmux.
    fn open() -> Option<Self> {
        let inspector = Inspector::start();
        let folder = tempfile::tempdir().unwrap();
        // The shell is replaced, so that its number is that of the command. A signal that leaves a
        // core must not leave it here.
        let line = format!(
            "echo before; sh -c 'ulimit -c 0; echo $$ > {}; exec \"{}\" top \"{}\"'",
            folder.path().join("pid").display(),
            env!("CARGO_BIN_EXE_insula"),
            inspector.address
        );
        let terminal = Terminal::run(&line, 80, 24)?;
        terminal.wait_for("pid 4711");
        Some(Self {
            terminal,
            folder,
            _inspector: inspector,
        })
    }

    fn pid(&self) -> String {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        pid.trim().to_owned()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args(["-s", signal, &self.pid()])
            .status();
        assert!(status.unwrap().success());
    }
}

#[test]
fn a_signal_that_ends_the_command_restores_the_terminal() {
    for (signal, number) in [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("USR1", 10),
        ("TERM", 15),
    ] {
        // Numbers of some signals differ between systems.
        let status = match cfg!(target_os = "linux") {
            true => format!("status {}", 128 + number),
            false => "status ".to_owned(),
        };
        let Some(screen) = Screen::open() else { return };
        screen.signal(signal);
        let text = screen.terminal.wait_for(&status);
        assert!(text.contains("before"), "{signal}: {text}");
        assert!(!text.contains("pid 4711"), "{signal}: {text}");
        assert!(
            text.contains("echo") && !text.contains("-echo"),
            "{signal}: {text}"
        );
    }
}

#[test]
fn control_c_quits() {
    let Some(screen) = Screen::open() else { return };
    screen.terminal.press(&["C-c"]);
    screen.terminal.wait_for("status 0");
}

#[test]
fn a_command_that_is_stopped_gives_the_terminal_back_and_comes_again() {
    let Some(screen) = Screen::open() else { return };
    for _ in 0..2 {
        screen.signal("TSTP");
        let text = screen.terminal.wait_for("before");
        assert!(!text.contains("pid 4711"), "{text}");
        screen.signal("CONT");
        screen.terminal.wait_for("pid 4711");
    }
    screen.terminal.press(&["2"]);
    screen.terminal.wait_for("decoder");
    screen.terminal.press(&["q"]);
    screen.terminal.wait_for("status 0");
}

#[test]
fn a_stop_that_cannot_be_handled_is_followed_by_a_new_screen() {
    let Some(screen) = Screen::open() else { return };
    screen.signal("STOP");
    screen.signal("CONT");
    screen.terminal.press(&["2"]);
    screen.terminal.wait_for("decoder");
    screen.terminal.press(&["q"]);
    let text = screen.terminal.wait_for("status 0");
    assert!(text.contains("echo") && !text.contains("-echo"), "{text}");
}

/// The key has to work as in a shell, although the terminal does not handle it.
#[test]
fn the_key_that_stops_a_job_gives_the_shell_the_terminal() {
    let inspector = Inspector::start();
    let line = format!(
        "sh -mc '\"{}\" top \"{}\"; stty -a | tr -s \"; \" \"\\n\" | grep -x -e echo -e -echo; \
         echo stopped; read line; fg'",
        env!("CARGO_BIN_EXE_insula"),
        inspector.address
    );
    let Some(terminal) = Terminal::run(&line, 80, 24) else {
        return;
    };
    terminal.wait_for("pid 4711");
    terminal.press(&["C-z"]);
    let text = terminal.wait_for("stopped");
    assert!(text.contains("echo") && !text.contains("-echo"), "{text}");
    terminal.press(&["Enter"]);
    terminal.wait_for("pid 4711");
    terminal.press(&["q"]);
    terminal.wait_for("status 0");
}

#[test]
fn without_a_shell_the_key_only_says_so() {
    let Some(screen) = Screen::open() else { return };
    screen.terminal.press(&["C-z"]);
    screen.terminal.wait_for("no shell that would continue");
}

#[test]
#[cfg(target_os = "linux")]
fn the_command_ends_with_its_terminal() {
    let Some(screen) = Screen::open() else { return };
    let process = std::path::PathBuf::from("/proc").join(screen.pid());
    assert!(process.exists());
    drop(screen.terminal);
    let begun = std::time::Instant::now();
    while process.exists() {
        let waited = begun.elapsed();
        assert!(waited < std::time::Duration::from_secs(20), "it runs on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
