//! The child: a pool of one worker behind the target of a link.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use insula_core::{Isolate, Poller, ReceivePort, Runtime, SendPort, spawn_local};
use insula_link::Target;
use insula_pool::{
    BuildError, Health, PoolObserver, Queue, Restart, ServiceFactory, Shutdown, WorkerChange,
    WorkerEvent, WorkerPool,
};
use insula_rpc::Respond;
use insula_rpc::wire::{Encoded, Frame, WireContract};
use insula_sync::atomic::{AtomicBool, Ordering};
use rustix::process::{
    Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit,
};

use crate::carrier::{Carrier, Input, Watcher, limits, most_of_frame};
#[cfg(target_pointer_width = "64")]
use crate::confine::confine;
use crate::entry::Assignment;
use crate::handles::Handles;
use crate::shared::{Region, Side};
#[cfg(not(target_pointer_width = "64"))]
use crate::unconfined::confine;

/// The exit status of a worker whose service has ended: `EX_SOFTWARE` of `sysexits.h`.
const LOST: i32 = 70;

/// The time that calls get which still run when the parent lets go.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves calls until the parent lets the worker go.
///
/// # Errors
/// Says why that is not possible, for a person.
pub(crate) fn serve<R>(
    assignment: &Assignment,
    factory: impl ServiceFactory<R::Service>,
) -> Result<(), String>
where
    R: Respond,
    R::Contract: WireContract,
{
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot be tied to its parent: {error}"))?;
    // It may have gone before that.
    let parent = getppid().map(|it| it.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(assignment.parent) {
        return Err("its parent has gone".to_owned());
    }
    let (region, handles) = memory().map_err(|error| format!("cannot open its memory: {error}"))?;
    let carrier = Arc::new(Carrier::new(region, handles, Side::Child));
    let limited = limit(assignment.limits).map_err(|error| format!("cannot be limited: {error}"));
    let confined = limited.and_then(|()| {
        confine(assignment.denied).map_err(|error| format!("cannot be confined: {error}"))
    });
    if let Err(why) = confined {
        carrier.send_last(Frame::Refused(why.clone()).write());
        return Err(why);
    }
    let runtime = Runtime::builder().build();
    let is_serving = Arc::new(AtomicBool::new(false));
    let health = match assignment.stuck_ms {
        0 => Health::default(),
        time => Health::stuck_after(Duration::from_millis(time)),
    };
    let pool = WorkerPool::builder()
        .name(format!("worker-{}", assignment.worker))
        .workers(1)
        .concurrency_per_worker(assignment.places)
        // The parent has the bound.
        .queue(Queue::bounded(usize::MAX))
        .grace(Duration::from_millis(assignment.grace_ms))
        .restart(Restart::never())
        .health(health)
        .observe(EndsWithWorker(Arc::clone(&is_serving)))
        .service::<R>(factory)
        .build();
    let pool = match runtime.block_on(pool) {
        Ok(pool) => pool,
        Err(error) => {
            // Of the error what the parent does not say itself.
            let why = match &error {
                BuildError::Startup { fault, .. } => fault.to_string(),
                other => other.to_string(),
            };
            carrier.send_last(Frame::Refused(why.clone()).write());
            return Err(why);
        }
    };
    is_serving.store(true, Ordering::Release);
    let served = runtime.block_on(async { carry(&carrier, &pool, assignment) });
    runtime.block_on(pool.shut_down(Shutdown::graceful(PATIENCE)));
    runtime.shut_down();
    served
}

/// Sets the limits of this process, for good: no program that it starts gets more rights either.
fn limit((memory, cpu): (u64, u64)) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    for (resource, most) in [(Resource::Data, memory), (Resource::Cpu, cpu)] {
        if most > 0 {
            let (current, maximum) = (Some(most), Some(most));
            setrlimit(resource, Rlimit { current, maximum })?;
        }
    }
    Ok(())
}

/// Returns whether the standard input is the socket of a worker, with its memory in it.
pub(crate) fn has_memory() -> bool {
    Handles::is_one(io::stdin())
}

/// Takes the memory out of the socket, which is the standard input, and gives that back its usual
/// meaning.
fn memory() -> io::Result<(Region, Handles)> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let (handles, memory) = Handles::open(socket)?;
    Ok((Region::open(memory)?, handles))
}

/// Moves frames until the parent lets the worker go.
fn carry<C: WireContract>(
    carrier: &Arc<Carrier>,
    pool: &WorkerPool<C>,
    assignment: &Assignment,
) -> Result<(), String> {
    let most = assignment.most;
    let endpoint = pool.endpoint();
    let flush = Arc::new(Flush {
        carrier: Arc::clone(carrier),
        target: OnceLock::new(),
    });
    let medium = Waker::from(Arc::clone(&flush));
    let signs = Arc::clone(carrier);
    let on_start = move |call| signs.region().mark_begun(call);
    let target = Arc::new(Target::new(endpoint, limits(most), medium, on_start));
    // Set once, here.
    let _ = flush.target.set(Arc::downgrade(&target));
    let (wrong, is_wrong) = insula_core::one_shot();
    let looker = Arc::new(Looker {
        carrier: Arc::clone(carrier),
        frames: accept(Arc::clone(&target), Arc::clone(carrier), wrong),
        target: Arc::clone(&target),
        most: most_of_frame(most.0),
    });
    let weak: Weak<Looker<C>> = Arc::downgrade(&looker);
    Runtime::current().add_poller(weak);
    let mut is_wrong = std::pin::pin!(is_wrong);
    let mut watcher = Watcher::default();
    let patience = Duration::from_millis(assignment.grace_ms).saturating_add(PATIENCE);
    // The time from which on handlers go on whose calls were cancelled.
    let mut overrun = None;
    loop {
        let input = carrier
            .read(looker.most, |frame| looker.take(frame))
            .map_err(|lost| lost.to_string())?;
        carrier.flush(target.outbox());
        if target.is_told_to_go() {
            return Ok(());
        }
        let mut cx = std::task::Context::from_waker(Waker::noop());
        if let std::task::Poll::Ready(violation) = is_wrong.as_mut().poll(&mut cx) {
            return violation.map_or(Ok(()), Err);
        }
        let running = || pool.status().workers.iter().map(|it| it.busy).sum();
        if target.has_overrun(running) {
            let since = *overrun.get_or_insert_with(Instant::now);
            if since.elapsed() >= patience {
                // Its thread cannot be stopped, and other calls wait behind it.
                eprint("worker: a handler goes on although its call was cancelled");
                process::exit(LOST);
            }
        } else {
            overrun = None;
        }
        let most = overrun.map(|_| PATIENCE / 20);
        if input != Input::Some {
            carrier.wait(&mut watcher, input, most);
        }
    }
}

/// What looks for frames, on the threads of the pool and on the one that watches.
struct Looker<C> {
    carrier: Arc<Carrier>,
    frames: SendPort<Encoded>,
    target: Arc<Target<C>>,
    /// The most bytes of a frame.
    most: usize,
}

impl<C: WireContract> Looker<C> {
    fn take(&self, frame: Encoded) {
        // The isolate ends after a violation, which the thread that watches is told of.
        let _ = self.frames.send(frame);
    }
}

impl<C: WireContract> Poller for Looker<C> {
    fn begin(&self) {
        self.carrier.begin_look();
    }

    fn poll(&self) -> bool {
        let outbox = self.target.outbox();
        self.carrier
            .look(outbox, self.most, |frame| self.take(frame))
    }

    fn end(&self) {
        let outbox = self.target.outbox();
        self.carrier
            .end_look(outbox, self.most, |frame| self.take(frame));
    }
}

/// Takes frames in an isolate, where their calls are moved.
fn accept<C: WireContract>(
    target: Arc<Target<C>>,
    carrier: Arc<Carrier>,
    wrong: insula_core::ReplyTo<String>,
) -> SendPort<Encoded> {
    // Without a bound of its own: the windows of the calls bound what the parent may send.
    let builder = Isolate::builder().name("link");
    let (_isolate, port) = builder.spawn_pair(move |mut port: ReceivePort<Encoded>| async move {
        while let Some(frame) = port.recv().await {
            match target.receive(frame) {
                Ok(Some(serving)) => {
                    spawn_local(serving.run());
                }
                Ok(None) if target.is_told_to_go() || target.has_cancelled() => carrier.call(),
                Ok(None) => {}
                Err(violation) => {
                    wrong.send(violation.to_string());
                    carrier.call();
                    return;
                }
            }
        }
    });
    port
}

/// Writes what is in the outbox, on the thread that has put it there.
struct Flush<C> {
    carrier: Arc<Carrier>,
    target: OnceLock<Weak<Target<C>>>,
}

impl<C: WireContract> Wake for Flush<C> {
    fn wake(self: Arc<Self>) {
        if let Some(target) = self.target.get().and_then(Weak::upgrade) {
            self.carrier.flush(target.outbox());
        }
    }
}

/// A worker that has lost its service is of no use, and its end tells the parent so.
struct EndsWithWorker(Arc<AtomicBool>);

impl PoolObserver for EndsWithWorker {
    fn on_event(&self, event: &WorkerEvent) {
        // The error of a build is told otherwise.
        let is_serving = self.0.load(Ordering::Acquire);
        if is_serving && let WorkerChange::Lost { fault } = &event.change {
            eprint(&format!("worker: {fault}"));
            process::exit(LOST);
        }
    }
}

fn eprint(line: &str) {
    // If standard error is closed, the exit status tells it alone.
    let _ = io::Write::write_fmt(&mut io::stderr().lock(), format_args!("{line}\n"));
}
