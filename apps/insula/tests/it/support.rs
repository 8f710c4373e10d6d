//! The command, with announcements of its own.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use tempfile::TempDir;

/// A user, with a folder for announcements that no other test sees.
pub(crate) struct User {
    folder: TempDir,
}

impl User {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Announces a program, in the name of a process that runs.
    pub(crate) fn announce(&self, name: &str, pid: u32, address: &str) {
        let folder = self.folder.path().join("insula");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{pid}.json"));
        let content = json!({ "name": name, "pid": pid, "address": address });
        fs::write(&path, content.to_string()).unwrap();
        for path in [folder, path] {
            make_private(&path);
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_insula"));
        command
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// Runs the command with text at its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that refuses may have ended before it has read anything.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => panic!("{error}"),
            _ => {}
        }
        drop(stdin);
        Outcome::of(child.wait_with_output().unwrap())
    }
}

/// The exit status and the output of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            status: output.status.code(),
            out: text(output.stdout),
            errors: text(output.stderr),
        }
    }

    /// Returns the output of a command that was carried out.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.status, Some(0), "{self:?}");
        assert_eq!(self.errors, "", "{self:?}");
        assert!(!self.out.contains('\u{1b}'), "{self:?}");
        self.out
    }

    /// Returns the only line of the errors of a command that was not carried out.
    #[track_caller]
    pub(crate) fn failed(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert_eq!(self.errors.lines().count(), 1, "{self:?}");
        assert!(self.errors.starts_with("insula: "), "{self:?}");
        assert!(!self.errors.contains('\u{1b}'), "{self:?}");
        self.errors.trim_end().to_owned()
    }
}

/// Takes the rights of other users, which some users give to their files by default.
#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}
