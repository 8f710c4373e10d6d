//! Message loops, as the thread that drives them uses them.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{self, Context, Poll, Waker};
use std::thread::JoinHandle;

use insula_core::{Instant, Kept, Runtime};
use insula_sync::Parker;
use insula_sync::atomic::AtomicU64;

use crate::shared::{Shared, Wake};
use crate::task_runner::TaskRunner;

/// A loop that runs tasks, one after the other, on the thread that made it.
///
/// It is driven in one of two ways. [`run`](Self::run) takes over the thread. With
/// [`in_foreign_loop`](Self::in_foreign_loop) a foreign loop keeps the thread (a window
/// system's, glib's): the foreign loop is woken through a callback, calls
/// [`flush_tasks`](Self::flush_tasks), and sleeps until the time that this returns.
///
/// # Ordering
/// Tasks run in the order of their due times; first in, first out for the same time. After each
/// task the observers run, in the order in which they were added.
///
/// # Shutdown
/// [`TaskRunner::terminate`], or dropping the loop, ends it. From then on each posted task is
/// dropped at once. The loop's thread runs the due tasks one last time, and drops the others.
///
/// ```
/// use std::time::Duration;
/// use insula_embed::{Flush, MessageLoop};
///
/// let main = MessageLoop::new("main");
/// let runner = main.task_runner();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         runner.post(|| println!("on the main thread"));
///         runner.post_delayed(Duration::from_millis(1), {
///             let runner = runner.clone();
///             move || runner.terminate()
///         });
///     });
///     main.run();
/// });
/// ```
#[derive(Debug)]
pub struct MessageLoop {
    runner: TaskRunner,
    /// Keeps the loop on its thread: it is neither `Send` nor `Sync`.
    thread: PhantomData<*const ()>,
}

/// The tasks that [`MessageLoop::flush_tasks`] may run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flush {
    /// All due tasks, but no more than were waiting at the beginning, so that the call returns
    /// even if tasks post tasks.
    All,
    /// One task, if one is due.
    Single,
}

/// The result of [`MessageLoop::flush_tasks`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flushed {
    /// The number of tasks that ran.
    pub tasks: usize,
    /// The time at which the next task is due; it may have passed.
    pub next_due: Option<Instant>,
    /// `true` if the loop has ended; it must not be driven any more.
    pub is_over: bool,
}

/// Identifies an observer of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ObserverId(u64);

impl MessageLoop {
    /// Creates a loop for the current thread, on the clock of the current runtime, to be driven
    /// by [`run`](Self::run).
    pub fn new(label: impl Into<Arc<str>>) -> Self {
        Self::create(label.into(), Runtime::current(), Wake::Park(Parker::new()))
    }

    /// Creates a loop for the current thread that a foreign loop drives. Times are those of
    /// `runtime`, which may be on virtual time.
    ///
    /// `wake` is called on any thread, whenever [`next_due`](Self::next_due) may be earlier than
    /// the driver knows, and when the loop should end. It only has to make sure that the driver
    /// calls [`flush_tasks`](Self::flush_tasks) soon. It carries no time, because two calls may
    /// overtake each other. It must not call back into the loop. A panic in it is contained.
    pub fn in_foreign_loop(
        label: impl Into<Arc<str>>,
        runtime: &Runtime,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::create(
            label.into(),
            runtime.clone(),
            Wake::Call(Kept::new(Box::new(wake))),
        )
    }

    fn create(label: Arc<str>, runtime: Runtime, wake: Wake) -> Self {
        // One counter for all loops, since any two can be merged.
        static ORDER: OnceLock<Arc<AtomicU64>> = OnceLock::new();
        let order = ORDER.get_or_init(|| Arc::new(AtomicU64::new(0))).clone();
        Self {
            runner: TaskRunner::new(Shared::new(label, order, wake), runtime),
            thread: PhantomData,
        }
    }

    /// Returns a runner that posts tasks to this loop.
    pub fn task_runner(&self) -> TaskRunner {
        self.runner.clone()
    }

    /// Runs tasks on this thread until the loop is terminated. Sleeps while none is due, or
    /// while the loop is merged into another one.
    ///
    /// # Blocking
    /// Blocks until the loop has ended.
    ///
    /// # Panics
    /// If the loop was made to be driven by a foreign loop, or if a task panics.
    pub fn run(&self) {
        let clock = || self.runner.now();
        self.shared().run(&clock);
    }

    /// Runs due tasks, and the observers after each. Ends the loop if it was terminated.
    ///
    /// A task may call this itself, to run a modal loop.
    ///
    /// # Panics
    /// If a task panics. The tasks behind it stay queued.
    pub fn flush_tasks(&self, flush: Flush) -> Flushed {
        self.shared().flush(flush, &|| self.runner.now())
    }

    /// Returns the time at which this loop's next task is due. `None` if no task waits, or while
    /// the loop is merged into another one.
    pub fn next_due(&self) -> Option<Instant> {
        self.shared().next_due()
    }

    /// Adds an observer, which is called after each task. While the loop is merged into another
    /// one, it is called on the owner's thread, also after the owner's tasks.
    pub fn add_observer(&self, observe: impl Fn() + Send + Sync + 'static) -> ObserverId {
        ObserverId(self.shared().add_observer(Arc::new(observe)))
    }

    /// Removes an observer, and returns whether it was there.
    pub fn remove_observer(&self, observer: ObserverId) -> bool {
        self.shared().remove_observer(observer.0)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.runner.shared()
    }
}

impl Drop for MessageLoop {
    fn drop(&mut self) {
        let shared = self.shared();
        shared.terminate();
        // While unwinding no more tasks are run, and a task that another thread is running is
        // not waited for. Either way the loop closes without its last run.
        if std::thread::panicking() || !self.flush_tasks(Flush::All).is_over {
            shared.close();
        }
    }
}

/// Blocks until `future` is ready. `block_on` would panic on a seeded runtime, though a runtime
/// has no part in the start of a thread. The wait is as short as that start, so it needs no
/// interrupt check.
fn parked_until<F: Future>(future: F) -> F::Output {
    struct Unpark(Parker);

    impl task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let unpark = Arc::new(Unpark(Parker::new()));
    let waker = Waker::from(unpark.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        unpark.0.park();
    }
}

/// A thread that runs a loop of its own. Dropping this value terminates the loop and waits for
/// the thread.
pub struct LoopThread {
    runner: TaskRunner,
    thread: Option<JoinHandle<()>>,
}

impl LoopThread {
    /// Starts a thread with the name `label` that runs a loop, on the clock of the current
    /// runtime.
    ///
    /// # Errors
    /// Returns an error if the operating system cannot start a thread.
    pub fn start(label: impl Into<Arc<str>>) -> io::Result<Self> {
        Self::start_named(label.into())
    }

    fn start_named(label: Arc<str>) -> io::Result<Self> {
        let runtime = Runtime::current();
        let (send, receive) = insula_core::one_shot();
        let thread = std::thread::Builder::new()
            // `spawn` panics for a name with NUL. U+2400 is the symbol for it.
            .name(label.replace('\0', "\u{2400}"))
            .spawn(move || {
                // The loop takes its clock from the current runtime, which on a new thread is the
                // global one.
                let _entered = runtime.enter();
                // Made here, since a loop belongs to the thread that makes it. Only its runner
                // leaves the thread.
                let this = MessageLoop::new(label);
                send.send(this.task_runner());
                this.run();
            })?;
        let runner = parked_until(receive);
        Ok(Self {
            runner: runner.map_err(|_| io::Error::other("the loop's thread has ended"))?,
            thread: Some(thread),
        })
    }

    /// Returns a runner that posts tasks to this thread.
    pub fn task_runner(&self) -> TaskRunner {
        self.runner.clone()
    }
}

impl Drop for LoopThread {
    /// # Blocking
    /// Blocks until the thread has ended.
    fn drop(&mut self) {
        self.runner.terminate();
        if let Some(thread) = self.thread.take() {
            // An error means that a task panicked, which was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for LoopThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoopThread")
            .field(&self.runner.label())
            .finish()
    }
}
