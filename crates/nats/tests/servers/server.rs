//! A NATS server of a test.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use insula_nats::Nats;
use tempfile::TempDir;

/// The variable that names the program of the server.
const PROGRAM: &str = "INSULA_NATS_SERVER";

pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os(PROGRAM).map(PathBuf::from)
}

/// A server that ends with the test.
pub(crate) struct Server {
    folder: TempDir,
    child: Running,
    port: u16,
}

/// A process that ends with its test.
struct Running(Child);

impl Server {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts a server with lines in its configuration, in which `FOLDER` is a folder of its own.
    pub(crate) fn with(configuration: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("server.conf");
        let own = folder.path().display().to_string();
        fs::write(file, configuration.replace("FOLDER", &own)).unwrap();
        let (child, port) = run(&folder, "-1");
        Self {
            folder,
            child,
            port,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn nats(&self) -> Nats {
        Nats::connect(&self.url())
    }

    pub(crate) fn kill(&mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    /// Removes a folder of the server that was killed.
    pub(crate) fn forget(&self, folder: &str) {
        fs::remove_dir_all(self.folder.path().join(folder)).unwrap();
    }

    /// Starts it again after a kill, at the same address.
    pub(crate) fn start_again(&mut self) {
        let (child, port) = run(&self.folder, &self.port.to_string());
        assert_eq!(port, self.port);
        self.child = child;
    }
}

fn run(folder: &TempDir, port: &str) -> (Running, u16) {
    let command = Command::new(program().unwrap())
        .args(["-a", "127.0.0.1", "-p", port, "-c"])
        .arg(folder.path().join("server.conf"))
        .arg("--ports_file_dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = Running(command.unwrap());
    // It writes the file once it listens.
    let name = format!("nats-server_{}.ports", child.0.id());
    let file = folder.path().join(name);
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let port = text
            .split("127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.split('"').next()?.parse().ok());
        if let Some(port) = port {
            return (child, port);
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{text}");
        sleep(Duration::from_millis(5));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
