//! The parent's side of one child.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use insula_core::{Poller, Runtime, one_shot};
use insula_link::{Connection, Origin, Settings};
use insula_pool::{FactoryError, WorkerContext};
use insula_rpc::Contract;
use insula_rpc::wire::{Encoded, Hello, Link as _, Lost, WireContract};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::carrier::{Carrier, Input, Watcher, limits, most_of_frame};
use crate::death::{Watched, whole_seconds};
use crate::entry::{Assignment, VARIABLE};
use crate::handles::Handles;
use crate::kind::Plan;
use crate::shared::{Region, Side};

/// The least bytes of a limit of memory: below it the threads of a child do not start.
const LEAST_MEMORY: u64 = 16 << 20;

/// The time that a child gets to end by itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// Starts a child and waits until it takes calls.
///
/// # Cancellation
/// Dropping the future ends the child.
///
/// # Errors
/// It could not be started, or its service could not be built.
pub(crate) async fn start<C: WireContract>(
    plan: &Plan,
    cx: WorkerContext,
) -> Result<Connection, FactoryError> {
    // It would start workers that do the same, without an end.
    if Assignment::of_this_process().is_some() {
        return Err(
            "this process is a worker, and has not called `process::main` first of all".into(),
        );
    }
    if let Some(most) = plan.memory.filter(|&most| most < LEAST_MEMORY) {
        let (least, most) = (LEAST_MEMORY >> 20, most as f64 / f64::from(1 << 20));
        let why =
            format!("`Process::memory` is {most:.1} MiB, and a worker needs {least} at least");
        return Err(why.into());
    }
    let (region, memory) = Region::create()?;
    let (handles, socket) = Handles::pair(memory.as_fd())?;
    // The child has it when it takes the message with it.
    drop(memory);
    let carrier = Arc::new(Carrier::new(region, handles, Side::Parent));
    let flush = Arc::new(Flush {
        carrier: Arc::clone(&carrier),
        origin: OnceLock::new(),
    });
    let limits = limits((plan.most, plan.most_beside));
    let settings = Settings {
        hello: Hello::of::<C>(plan.most),
        limits,
    };
    let command = plan.command(&assignment::<C>(plan, &cx), socket)?;
    let is_serving = Arc::new(AtomicBool::new(false));
    let serves = Arc::clone(&is_serving);
    let on_end = move |why: &str| {
        // Before that, and after the worker has let go of it, its end is no fault.
        if serves.load(Ordering::Acquire) {
            cx.end(why);
        }
    };
    let medium = Waker::from(Arc::clone(&flush));
    let origin = Arc::new(Origin::new(settings, medium, on_end));
    // Set once, here.
    let _ = flush.origin.set(Arc::downgrade(&origin));
    carrier.flush(origin.outbox());
    let child = Arc::new(Child {
        carrier,
        origin: Arc::clone(&origin),
        exit: Mutex::new(None),
        pidfd: OnceLock::new(),
        is_closing: AtomicBool::new(false),
        most: plan.most,
    });
    let hold = Hold {
        child: Arc::clone(&child),
        is_serving,
    };
    // First: from here on there is a thread that ends the child if this future is dropped.
    child.watch()?;
    let looker: Weak<Child> = Arc::downgrade(&child);
    Runtime::current().add_poller(looker);
    child.keep(command, Watched::new(plan)).await?;
    std::future::poll_fn(|task| origin.poll_greeted(task)).await?;
    hold.is_serving.store(true, Ordering::Release);
    // A link that is lost from here on ends the worker. One that was lost before has told nothing.
    if origin.is_lost() {
        return Err("its process has ended as it was ready".into());
    }
    Ok(Connection::new(origin, limits, hold))
}

fn assignment<C: Contract>(plan: &Plan, cx: &WorkerContext) -> Assignment {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Assignment {
        parent: std::process::id(),
        places: cx.places(),
        grace_ms: millis(cx.grace()),
        stuck_ms: cx.stuck_after().map_or(0, |it| millis(it).max(1)),
        most: (plan.most, plan.most_beside),
        worker: cx.worker().index() as u32,
        limits: (
            plan.memory.unwrap_or(0),
            plan.cpu_time.map_or(0, whole_seconds),
        ),
        denied: plan.denied,
        contract: C::NAME.to_owned(),
    }
}

impl Plan {
    fn command(&self, assignment: &Assignment, socket: OwnedFd) -> io::Result<Command> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        let mut command = Command::new(program);
        if self.clears_env {
            command.env_clear();
        }
        command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(VARIABLE, assignment.to_text())
            .stdin(Stdio::from(socket));
        Ok(command)
    }
}

/// A child, for as long as it lives.
struct Child {
    carrier: Arc<Carrier>,
    origin: Arc<Origin>,
    /// How it has ended, in words.
    exit: Mutex<Option<String>>,
    /// Names it, also when its number is given to another process.
    pidfd: OnceLock<OwnedFd>,
    /// The worker has let go of it.
    is_closing: AtomicBool,
    most: usize,
}

impl Child {
    /// Starts the child on a thread that waits for its end. The system kills a child with the *thread*
    /// that has started it, so that has to be one which stays.
    async fn keep(self: &Arc<Self>, mut command: Command, watched: Watched) -> io::Result<()> {
        let (started, is_started) = one_shot();
        let this = Arc::clone(self);
        let program = PathBuf::from(command.get_program());
        let thread = thread::Builder::new()
            .name("insula-child".to_owned())
            .spawn(move || {
                let mut child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => {
                        let why = format!("{} cannot be started: {error}", program.display());
                        this.has_ended(why.clone());
                        return started.send(Err(io::Error::new(error.kind(), why)));
                    }
                };
                // Its end of the socket goes with it.
                drop(command);
                let opened = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
                let opened = opened.map(|pidfd| {
                    // Set once, here, and not where it is waited for: that future may be dropped.
                    let _ = this.pidfd.set(pidfd);
                });
                started.send(opened.map_err(io::Error::from));
                this.has_ended(watched.wait(&mut child));
            });
        if let Err(error) = thread {
            self.has_ended(format!("it cannot be waited for: {error}"));
            return Err(error);
        }
        let gone = |_| io::Error::other("the thread of the child has ended");
        is_started.await.map_err(gone)?
    }

    /// There is no child any more, for this reason.
    fn has_ended(&self, exit: String) {
        *self.exit.lock() = Some(exit);
        self.carrier.call();
    }

    /// Reads what the child writes, on a thread of its own, until the child has ended.
    fn watch(self: &Arc<Self>) -> io::Result<()> {
        let this = Arc::clone(self);
        let thread = thread::Builder::new().name("insula-link".to_owned());
        thread.spawn(move || this.read_all())?;
        Ok(())
    }

    fn read_all(&self) {
        let mut watcher = Watcher::default();
        // The time from which on the child is killed.
        let mut deadline = None;
        loop {
            // Before the last look: a child that has ended writes no more.
            let exit = self.exit.lock().clone();
            let read = self.read();
            self.carrier.flush(self.origin.outbox());
            // All of it has to be read.
            let is_rest = matches!(read, None | Some(Input::Nothing));
            if let Some(exit) = exit.filter(|_| is_rest) {
                return self.end(&exit);
            }
            if read.is_none() {
                deadline = Some(Instant::now());
            } else if self.is_closing.load(Ordering::Acquire) {
                deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                // Again and again: at the first time it may not have been started.
                self.kill();
            }
            let most = deadline.map(|_| PATIENCE / 10);
            match read {
                Some(Input::Some) => {}
                // What a child that has lied writes is not looked at any more.
                None => self.carrier.wait(&mut watcher, Input::Elsewhere, most),
                Some(input) => self.carrier.wait(&mut watcher, input, most),
            }
        }
    }

    /// Reads what is there. `None` if the child has lied, or the link is lost otherwise.
    fn read(&self) -> Option<Input> {
        if self.origin.is_lost() {
            return None;
        }
        let take = |frame| self.receive(frame);
        match self.carrier.read(most_of_frame(self.most), take) {
            // It may have been lost by a frame.
            Ok(input) => (!self.origin.is_lost()).then_some(input),
            Err(lost) => {
                self.origin.lose(Lost::Incomplete, &lost.to_string());
                None
            }
        }
    }

    fn receive(&self, frame: Encoded) {
        // What follows after a lie is not heard.
        if !self.origin.is_lost() && self.origin.receive(frame).is_err() {
            // The child is to be killed.
            self.carrier.call();
        }
    }

    /// Nothing comes any more.
    fn end(&self, exit: &str) {
        let region = self.carrier.region();
        self.origin.has_begun(|call| region.has_begun(call));
        self.origin.lose(Lost::Complete, exit);
    }

    fn kill(&self) {
        if let Some(pidfd) = self.pidfd.get() {
            // It may have ended.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
    }
}

impl Poller for Child {
    fn begin(&self) {
        self.carrier.begin_look();
    }

    fn poll(&self) -> bool {
        let (outbox, most) = (self.origin.outbox(), most_of_frame(self.most));
        self.carrier.look(outbox, most, |frame| self.receive(frame))
    }

    fn end(&self) {
        let (outbox, most) = (self.origin.outbox(), most_of_frame(self.most));
        self.carrier
            .end_look(outbox, most, |frame| self.receive(frame));
    }
}

/// A worker's hold on its child.
struct Hold {
    child: Arc<Child>,
    is_serving: Arc<AtomicBool>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Self { child, is_serving } = self;
        is_serving.store(false, Ordering::Release);
        child.is_closing.store(true, Ordering::Release);
        child.origin.go_away();
        child.carrier.call();
    }
}

/// Writes what is in the outbox, on the thread that has put it there.
struct Flush {
    carrier: Arc<Carrier>,
    origin: OnceLock<Weak<Origin>>,
}

impl Wake for Flush {
    fn wake(self: Arc<Self>) {
        if let Some(origin) = self.origin.get().and_then(Weak::upgrade) {
            self.carrier.flush(origin.outbox());
        }
    }
}
