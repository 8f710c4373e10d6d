//! Loops: the thread's side.

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

/// A loop that runs tasks on the thread that made it, one after the other.
///
/// It is driven in one of two ways. [`run`](Self::run) gives it the thread. With
/// [`in_foreign_loop`](Self::in_foreign_loop) some other loop keeps the thread (a window
/// system's, glib's): it is woken through a callback, calls [`flush_tasks`](Self::flush_tasks),
/// and sleeps until the time that this returns.
///
/// # Ordering
/// By the time at which tasks are due; first in, first out for the same time. After each task
/// the observers run, in the order in which they were added.
///
/// # Shutdown
/// [`TaskRunner::terminate`], or dropping the loop, ends it: from then on a task that is posted is
/// dropped at once. The loop's thread runs the tasks that are due one last time, and drops the
/// others.
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
    /// The thread is part of the loop.
    thread: PhantomData<*const ()>,
}

/// How much [`MessageLoop::flush_tasks`] may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flush {
    /// What is due now, and at most as many tasks as waited when it began, so that it ends also
    /// if tasks post tasks.
    All,
    /// One task, if one is due.
    Single,
}

/// What [`MessageLoop::flush_tasks`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flushed {
    /// Tasks that ran.
    pub tasks: usize,
    /// When the next one is due; it may be already.
    pub next_due: Option<Instant>,
    /// The loop has ended and must not be driven further.
    pub is_over: bool,
}

/// Names an observer of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ObserverId(u64);

impl MessageLoop {
    /// A loop for the current thread, on the clock of the current runtime, to be driven by
    /// [`run`](Self::run).
    pub fn new(label: impl Into<Arc<str>>) -> Self {
        Self::create(label.into(), Runtime::current(), Wake::Park(Parker::new()))
    }

    /// A loop for the current thread that somebody else's loop drives. Times are those of
    /// `runtime`, which may be on virtual time.
    ///
    /// `wake` is called on any thread, whenever [`next_due`](Self::next_due) may be earlier than
    /// what the driver knows, and when the loop should end. It only has to make sure that the
    /// driver calls [`flush_tasks`](Self::flush_tasks) soon: it carries no time, because two calls
    /// may overtake each other. It must not call back into the loop. A panic in it is contained.
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
        // One order across all loops, since any two can be merged.
        static ORDER: OnceLock<Arc<AtomicU64>> = OnceLock::new();
        let order = ORDER.get_or_init(|| Arc::new(AtomicU64::new(0))).clone();
        Self {
            runner: TaskRunner::new(Shared::new(label, order, wake), runtime),
            thread: PhantomData,
        }
    }

    /// A runner for the tasks of this loop.
    pub fn task_runner(&self) -> TaskRunner {
        self.runner.clone()
    }

    /// Runs tasks on this thread until the loop is terminated. Sleeps while none is due, or
    /// while the loop is merged into another one.
    ///
    /// # Blocking
    /// Until the loop has ended.
    ///
    /// # Panics
    /// If the loop was made to be driven by another one; and with a task that panics.
    pub fn run(&self) {
        let clock = || self.runner.now();
        self.shared().run(&clock);
    }

    /// Runs tasks that are due, and the observers after each. Brings the loop to its end if it
    /// was terminated.
    ///
    /// A task may call this again, from inside: a modal loop.
    ///
    /// # Panics
    /// With a task that panics; the tasks behind it are still there then.
    pub fn flush_tasks(&self, flush: Flush) -> Flushed {
        self.shared().flush(flush, &|| self.runner.now())
    }

    /// When the first task is due that this loop runs: none while it is merged into another one.
    pub fn next_due(&self) -> Option<Instant> {
        self.shared().next_due()
    }

    /// Has `observe` called after each task. While the loop is merged into another one it is
    /// called on that one's thread, and after that one's tasks too.
    pub fn add_observer(&self, observe: impl Fn() + Send + Sync + 'static) -> ObserverId {
        ObserverId(self.shared().add_observer(Arc::new(observe)))
    }

    /// Takes an observer away, and tells whether it was there.
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
        // While unwinding nothing more is run, and a task that another thread runs at this moment
        // is not waited for.
        if std::thread::panicking() || !self.flush_tasks(Flush::All).is_over {
            shared.close();
        }
    }
}

/// As `block_on`, also on a seeded runtime, which has no part in the start of a thread. It is no
/// longer than that, so it needs no interrupt check.
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

/// A thread with a loop of its own. Ends with this value, which waits for it.
pub struct LoopThread {
    runner: TaskRunner,
    thread: Option<JoinHandle<()>>,
}

impl LoopThread {
    /// Starts a thread of the name `label` that runs a loop, on the clock of the current
    /// runtime.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub fn start(label: &str) -> io::Result<Self> {
        let runtime = Runtime::current();
        let name: Arc<str> = Arc::from(label);
        let (send, receive) = insula_core::one_shot();
        let thread = std::thread::Builder::new()
            // The operating system wants the name without NUL.
            .name(label.replace('\0', "\u{2400}"))
            .spawn(move || {
                let _entered = runtime.enter();
                let this = MessageLoop::new(name);
                send.send(this.task_runner());
                this.run();
            })?;
        let runner = parked_until(receive);
        Ok(Self {
            runner: runner.map_err(|_| io::Error::other("the loop's thread has ended"))?,
            thread: Some(thread),
        })
    }

    /// A runner for the tasks of this thread.
    pub fn task_runner(&self) -> TaskRunner {
        self.runner.clone()
    }
}

impl Drop for LoopThread {
    /// # Blocking
    /// Until the thread has ended.
    fn drop(&mut self) {
        self.runner.terminate();
        if let Some(thread) = self.thread.take() {
            // A task has panicked: that was reported when it happened.
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
