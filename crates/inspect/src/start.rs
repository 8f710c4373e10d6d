//! The handle of an inspector, and how it starts.

mod sampler;
#[cfg(unix)]
mod signals;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use insula_core::{IsolateObserver, Runtime};

use crate::announce::{Announced, Announcement, announce};
use crate::program::{Limits, Program};
use crate::server::{Server, Token};
use sampler::{Sampler, Watcher, write_dump};
#[cfg(unix)]
use signals::Signals;

/// Where an inspector listens.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Listen {
    /// A loopback address. The port 0 is any that is free.
    Tcp(SocketAddr),
    /// A Unix socket at this path, which only this user can open. It must not exist, and is removed
    /// at the end.
    Unix(PathBuf),
}

impl Default for Listen {
    fn default() -> Self {
        Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    }
}

/// The settings of an inspector. Made by [`Inspector::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it starts"]
pub struct InspectorBuilder {
    name: Option<String>,
    runtime: Option<Runtime>,
    listen: Listen,
    can_control: bool,
    is_announced: bool,
    dumps: Option<PathBuf>,
    #[cfg(unix)]
    signal: Option<(i32, PathBuf)>,
    limits: Limits,
}

/// A running inspector. Dropping it ends it, and with it all connections.
#[must_use = "dropping it ends the inspector"]
pub struct Inspector {
    address: String,
    server: Arc<Server>,
    program: Arc<Program>,
    observer: Arc<dyn IsolateObserver>,
    threads: Vec<JoinHandle<()>>,
    sampler: Arc<Sampler>,
    watcher: Arc<Watcher>,
    #[cfg(unix)]
    signals: Option<Signals>,
    announced: Option<Announced>,
}

impl Inspector {
    /// Returns the settings of a new inspector: for the current runtime, on a free port of
    /// 127.0.0.1, and only for reading.
    pub fn builder() -> InspectorBuilder {
        InspectorBuilder {
            name: None,
            runtime: None,
            listen: Listen::default(),
            can_control: false,
            is_announced: true,
            dumps: None,
            #[cfg(unix)]
            signal: None,
            limits: Limits::default(),
        }
    }

    /// Returns the address with the token, for a browser and for `insula top`:
    /// `http://127.0.0.1:40123/#TOKEN`, or `unix:/path#TOKEN`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns whether the command `insula` finds this inspector by the number of the process. `false`
    /// if the address is not to be announced, or its file cannot be written.
    pub fn is_announced(&self) -> bool {
        self.announced.is_some()
    }

    /// Writes everything that is known of the program to a file, as one JSON document: what a client
    /// would see, with the last minutes of its history and the newest events. For a program that
    /// decides itself when that is wanted, for example at a signal.
    ///
    /// # Blocking
    /// Writes the file, and asks idle isolates what they wait for, within 0.3 seconds.
    ///
    /// # Errors
    /// If the file cannot be written. It is then as it was.
    pub fn dump_to(&self, path: impl AsRef<Path>) -> io::Result<()> {
        write_dump(&self.program, path.as_ref())
    }
}

impl InspectorBuilder {
    /// The most dumps that are written because of errors.
    pub const DUMPS: u32 = 10;

    /// Sets the name of the program. The default is the name of its executable file.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the runtime whose isolates are shown. The default is the current one. The pools of the
    /// whole process are shown.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Sets where to listen.
    pub fn listen(mut self, listen: Listen) -> Self {
        self.listen = listen;
        self
    }

    /// Allows clients to pause, kill, drain and so on. Without it they can only read.
    pub fn allow_control(mut self) -> Self {
        self.can_control = true;
        self
    }

    /// Sets whether the address is written to a file that only this user can read, where the
    /// command `insula` finds it. The default is `true`.
    pub fn announce(mut self, is_announced: bool) -> Self {
        self.is_announced = is_announced;
        self
    }

    /// Sets a folder into which a dump is written when an isolate has an error that its code did not
    /// handle, such as a panic, or a thread outside of isolates panics: `NAME-PID-1.json` and so on, each
    /// time the next that is free, within a second of the error or at the end of the inspector, and at most
    /// [`DUMPS`](Self::DUMPS) of them. So if `main` panics, there is one if `main` owns the inspector; an
    /// error that `main` returns is the program's own matter, and leaves none. The folder is made if it does
    /// not exist.
    ///
    /// There is no dump of a panic that aborts, nor if the process exits within that second. Panics of plain threads
    /// count even if [`catch_unwind`](std::panic::catch_unwind) catches them, and those that
    /// [`catch_panic`](insula_core::catch_panic) catches do not.
    pub fn dump_on_error(mut self, folder: impl Into<PathBuf>) -> Self {
        self.dumps = Some(folder.into());
        self
    }

    /// Has a dump written into a folder whenever the process gets a signal, such as `SIGUSR1`:
    /// `NAME-PID-signal-1.json` and so on, each time the next that is free. It is written by a thread of
    /// the inspector, and so also if the runtime is stuck. Most signals end a process that does
    /// not handle them; this one is ignored once the inspector has ended. The folder is made if it
    /// does not exist.
    #[cfg(unix)]
    pub fn dump_on_signal(mut self, signal: i32, folder: impl Into<PathBuf>) -> Self {
        self.signal = Some((signal, folder.into()));
        self
    }

    /// Sets how many events the flight recorder keeps of each thread; 0 turns it off. The default is
    /// 100, and more than 10,000 count as 10,000. Each takes some 300 bytes, and there are at most 257
    /// threads in it.
    pub fn events_per_thread(mut self, events: usize) -> Self {
        self.limits.per_thread = events.min(10_000);
        self
    }

    /// Sets how long a turn must have taken to be in the flight recorder. The default is 50 ms. A turn
    /// may seem up to 25 ms shorter than it was, and up to 15 ms longer.
    pub fn long_turn_after(mut self, time: Duration) -> Self {
        self.limits.long_turn = time;
        self
    }

    /// Sets how long a turn may go on before that is an event. The default is one second.
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.limits.stuck = time;
        self
    }

    /// Sets how long a call of a pool may run before that is an event. The default is ten seconds.
    pub fn slow_after(mut self, time: Duration) -> Self {
        self.limits.slow = time;
        self
    }

    /// Returns the folders for dumps.
    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let folders = self.dumps.iter();
        #[cfg(unix)]
        let folders = folders.chain(self.signal.as_ref().map(|signal| &signal.1));
        folders
    }

    /// Starts the inspector.
    ///
    /// # Errors
    /// - `InvalidInput` if the address is not a loopback address.
    /// - If the address cannot be listened on, for example because it is in use.
    /// - `InvalidInput` if the signal for dumps is one that cannot be handled, such as `SIGKILL`.
    /// - If a folder for dumps cannot be made.
    /// - If the system gives no random bytes for the token, or no thread.
    ///
    /// An address that cannot be announced is no error: it is for convenience.
    pub fn start(self) -> io::Result<Inspector> {
        for folder in self.folders() {
            std::fs::create_dir_all(folder)?;
        }
        let runtime = self.runtime.unwrap_or_else(Runtime::current);
        let name = self.name.unwrap_or_else(own_name);
        let program = Arc::new(Program::new(name.clone(), runtime, self.limits));
        let token = Token::new()?;
        let server = Server::bind(&self.listen, token, self.can_control)?;
        let server = Arc::new(server);
        let address = server.address_with_token();
        let observer = program.observer();
        program.runtime.observe(observer.clone());
        // From here on a drop of the handle, also at an error, undoes what was begun.
        let mut inspector = Inspector {
            address,
            server,
            program,
            observer,
            threads: Vec::new(),
            sampler: Arc::new(Sampler::new(self.dumps)),
            watcher: Arc::default(),
            #[cfg(unix)]
            signals: None,
            announced: None,
        };
        inspector.program.tick();
        inspector.start_threads()?;
        #[cfg(unix)]
        if let Some((signal, folder)) = self.signal {
            inspector.signals = Some(Signals::start(signal, folder, &inspector.program)?);
        }
        if self.is_announced {
            let announcement = Announcement {
                name,
                pid: std::process::id(),
                address: inspector.address.clone(),
            };
            inspector.announced = announce(&announcement).ok();
        }
        Ok(inspector)
    }
}

impl Inspector {
    #[cfg(feature = "otel")]
    pub(crate) fn program(&self) -> &Arc<Program> {
        &self.program
    }

    fn start_threads(&mut self) -> io::Result<()> {
        let (program, sampler) = (self.program.clone(), self.sampler.clone());
        let samples = thread::Builder::new()
            .name("insula-samples".to_owned())
            .spawn(move || sampler.run(&program))?;
        self.threads.push(samples);
        let (program, watcher) = (self.program.clone(), self.watcher.clone());
        let watches = thread::Builder::new()
            .name("insula-watch".to_owned())
            .spawn(move || watcher.run(&program))?;
        self.threads.push(watches);
        let (program, server) = (self.program.clone(), self.server.clone());
        let accepts = thread::Builder::new()
            .name("insula-inspect".to_owned())
            .spawn(move || server.accept(&program))?;
        self.threads.push(accepts);
        Ok(())
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        // First, so that no tool finds the address of an inspector that is gone.
        self.announced = None;
        self.program.runtime.unobserve(&self.observer);
        self.program.tell_of_unwinding();
        self.server.stop();
        // Nothing could end them any more.
        self.program.resume_all();
        self.sampler.stop();
        self.watcher.stop();
        #[cfg(unix)]
        drop(self.signals.take());
        for thread in self.threads.drain(..) {
            // A panic of one of them has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token.
        let address = self.address.split('#').next();
        f.debug_struct("Inspector")
            .field("address", &address)
            .finish_non_exhaustive()
    }
}

/// Returns the name of the program's file.
fn own_name() -> String {
    let file = std::env::current_exe().ok();
    let name = file.as_ref().and_then(|file| file.file_stem());
    name.map_or_else(
        || "program".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
