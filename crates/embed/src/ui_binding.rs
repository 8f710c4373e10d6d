//! The binding of a root isolate to a loop: messages become tasks, and frames run its code.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::rc::{Rc, Weak};

use insula_core::{
    EntryOutput, ExitReason, Handled, Instant, Isolate, Pinned, RootBuilder, RootIsolate, RootPhase,
};
use insula_sync::Serial;

use crate::frame::{Frame, FrameClock};
use crate::message_loop::MessageLoop;
use crate::task_runner::TaskRunner;

/// A root isolate that runs on the loop of its thread.
///
/// Each message is handled in a task of its own, so input, frames and messages take turns.
/// Microtasks run after the isolate's code in each task, before the loop's observers.
///
/// The isolate cannot leave its thread, so while it is bound, its loop cannot be merged into
/// another one. (It may own others.)
///
/// # Shutdown
/// Dropping the binding ends the isolate and its whole group.
///
/// ```
/// use insula_embed::{Flush, MessageLoop, UiBinding};
/// use insula_core::{ReceivePort, RootIsolate};
///
/// let ui = MessageLoop::new("ui");
/// let binding = UiBinding::new(&ui, RootIsolate::builder("root"))?;
/// let inbox = binding.enter(|_| {
///     let port = ReceivePort::new();
///     let inbox = port.send_port();
///     port.listen(|text: &str| assert_eq!(text, "hello"));
///     inbox
/// });
/// let inbox = inbox.ok_or("the isolate has ended")?;
/// std::thread::spawn(move || inbox.send("hello"));
/// while ui.flush_tasks(Flush::All).tasks == 0 {}
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UiBinding(Rc<Bound>);

/// The work of a program in each frame. Every method runs as the isolate's code.
pub trait FrameHandler {
    /// Runs the first half of a frame: moves animations to the frame's time. The microtasks that
    /// it leaves run before the second half.
    fn begin_frame(&mut self, frame: &Frame);

    /// Runs the second half of a frame: draws.
    fn draw_frame(&mut self, frame: &Frame);

    /// Does work that can wait. Called when nothing else is to be done until `deadline`.
    fn idle(&mut self, deadline: Instant) {
        let _ = deadline;
    }
}

/// The error of an isolate that cannot be bound to a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The loop has ended, or is merged into another one, on whose thread its tasks run.
    LoopUnavailable,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoopUnavailable => f.write_str("the loop is merged into another one, or over"),
        }
    }
}

impl std::error::Error for BindError {}

struct Bound {
    key: u64,
    runner: TaskRunner,
    /// Borrowed while the isolate's code runs.
    root: RefCell<RootIsolate>,
    /// `true` if messages are left to handle, and a task for them is to be posted.
    is_due: Cell<bool>,
    clock: RefCell<FrameClock>,
    /// Code of other threads whose task came while the isolate's code ran a loop inside. Bounded by
    /// the tasks of that loop. A task each is posted for it afterwards.
    deferred: RefCell<Vec<RemoteCode>>,
    /// `None` while it runs, and before one is set.
    handler: RefCell<Option<Box<dyn FrameHandler>>>,
    /// Keeps the loop on this thread.
    _pin: Pin,
}

type RemoteCode = Box<dyn FnOnce(Pinned) + Send>;

/// The bindings of a thread, by key. Each binding removes itself when it is dropped, so nothing
/// is left to drop when the thread ends.
type Bindings = ManuallyDrop<BTreeMap<u64, Weak<Bound>>>;

thread_local! {
    /// The bindings of this thread. A task has to be `Send` and a binding is not, so tasks carry
    /// a binding's key. Without a destructor the map is usable until the thread has ended.
    static BINDINGS: RefCell<Bindings> =
        const { RefCell::new(ManuallyDrop::new(BTreeMap::new())) };
}

/// The keys of all threads: a task that outlives its binding may run on another thread, if its loop
/// is merged into one there, and must find nothing.
static NEXT: Serial = Serial::new();

impl UiBinding {
    /// Creates an isolate of this thread, without an entry, and binds it to `ui`.
    /// [`enter`](Self::enter) then runs code in it.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn new(ui: &MessageLoop, root: RootBuilder) -> Result<Self, BindError> {
        Self::bind(ui, root, RootBuilder::create)
    }

    /// Like [`new`](Self::new), but with an entry, which runs as the isolate's first event.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn spawn<M, O, K>(
        ui: &MessageLoop,
        root: RootBuilder,
        entry: impl FnOnce(M) -> O + Send + 'static,
        message: M,
    ) -> Result<Self, BindError>
    where
        M: Send + 'static,
        O: EntryOutput<K>,
    {
        Self::bind(ui, root, |root| root.spawn(entry, message))
    }

    fn bind(
        ui: &MessageLoop,
        root: RootBuilder,
        make: impl FnOnce(RootBuilder) -> RootIsolate,
    ) -> Result<Self, BindError> {
        let runner = ui.task_runner();
        // Before the isolate is made: from here on the loop stays on this thread.
        let pin = Pin::new(&runner).ok_or(BindError::LoopUnavailable)?;
        let key = NEXT.next();
        let notified = runner.clone();
        let root = root.notify(move || {
            // The result does not matter: a loop that has ended handles no more messages.
            notified.post(move || turn(key));
        });
        let bound = Rc::new(Bound {
            key,
            runner,
            root: RefCell::new(make(root)),
            is_due: Cell::new(false),
            clock: RefCell::default(),
            deferred: RefCell::default(),
            handler: RefCell::new(None),
            _pin: pin,
        });
        // Early enough for tasks that `make` has posted: they run on this thread, after this.
        BINDINGS.with_borrow_mut(|bindings| bindings.insert(key, Rc::downgrade(&bound)));
        Ok(Self(bound))
    }

    /// Runs `f` as the isolate's code, and then the microtasks. Returns `None` if the isolate has
    /// ended or was killed, or if `f` panicked, as [`RootIsolate::enter`] does.
    ///
    /// # Panics
    /// Panics if called from the isolate's own code.
    pub fn enter<R>(&self, f: impl FnOnce(Pinned) -> R) -> Option<R> {
        self.0.enter(f)
    }

    /// Runs a frame for the time `time`: the handler's first half, the microtasks, then its second
    /// half. Returns `None` if there is no handler, if a frame is running, or if the isolate has
    /// ended, also by a panic of the handler.
    ///
    /// # Panics
    /// Panics if called from the isolate's own code.
    pub fn begin_frame(&self, time: Instant) -> Option<Frame> {
        let mut handler = self.0.take_handler()?;
        let frame = self.0.clock.borrow_mut().begin(time);
        // Two entries, so that the microtasks run between the two halves.
        let begun = self.enter(|_| handler.get().begin_frame(&frame));
        let drawn = begun.and_then(|()| self.enter(|_| handler.get().draw_frame(&frame)));
        drawn.map(|()| frame)
    }

    /// Runs the handler's [`idle`](FrameHandler::idle), for work that can wait. Nothing else is to
    /// be done until `deadline`.
    ///
    /// # Panics
    /// Panics if called from the isolate's own code.
    pub fn notify_idle(&self, deadline: Instant) {
        if let Some(mut handler) = self.0.take_handler() {
            self.enter(|_| handler.get().idle(deadline));
        }
    }

    /// Sets the handler of frames, in place of the one before.
    pub fn set_frame_handler(&self, handler: impl FrameHandler + 'static) {
        // The handler before is dropped when nothing is borrowed: its destructor may set another
        // one.
        let before = self.0.handler.replace(Some(Box::new(handler)));
        drop(before);
    }

    /// Returns a handle with which other threads run code as the isolate.
    pub fn remote(&self) -> UiRemote {
        UiRemote {
            runner: self.0.runner.clone(),
            key: self.0.key,
        }
    }

    /// Returns a handle to the isolate.
    ///
    /// # Panics
    /// Panics if called from the isolate's own code, which uses [`Isolate::current`] instead.
    pub fn isolate(&self) -> Isolate {
        self.0.root.borrow().isolate().clone()
    }

    /// Returns the isolate's phase.
    ///
    /// # Panics
    /// Panics if called from the isolate's own code.
    pub fn phase(&self) -> RootPhase {
        self.0.root.borrow().phase()
    }

    /// Returns the reason why the isolate has ended, or `None` if it has not.
    ///
    /// # Panics
    /// Panics if called from the isolate's own code.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        let mut root = self.0.root.borrow_mut();
        if root.phase() != RootPhase::ShutDown {
            return None;
        }
        // An isolate that has ended handles nothing, and returns its reason.
        match root.handle_message() {
            Handled::Exited(reason) => Some(reason),
            Handled::Idle | Handled::More | Handled::Paused => None,
        }
    }

    /// Ends a pause on start or on exit.
    ///
    /// # Panics
    /// Panics if called from the isolate's own code.
    pub fn resume(&self) {
        self.0.root.borrow().resume();
    }
}

impl Bound {
    fn enter<R>(&self, f: impl FnOnce(Pinned) -> R) -> Option<R> {
        let mut root = self.root.borrow_mut();
        let result = root.enter(f);
        // Before the posts of `catch_up`, which call the wake function of the foreign loop.
        drop(root);
        self.catch_up();
        result
    }

    /// As [`enter`](Self::enter), for code of another thread. While the isolate's code runs, keeps
    /// `f` until that is over.
    fn enter_remote(&self, f: RemoteCode) {
        // The borrow of this test ends at once, and nothing else runs on this thread before `enter`
        // borrows again.
        if self.root.try_borrow_mut().is_ok() {
            self.enter(f);
        } else {
            self.deferred.borrow_mut().push(f);
        }
    }

    /// Handles one message, and posts a task if there may be more.
    fn turn(&self) {
        let Ok(mut root) = self.root.try_borrow_mut() else {
            // The isolate's code runs a loop inside, and the isolate cannot be entered twice.
            // `catch_up` posts a task for the message afterwards.
            return self.is_due.set(true);
        };
        let handled = root.handle_message();
        drop(root);
        if handled == Handled::More {
            self.is_due.set(true);
        }
        self.catch_up();
    }

    /// Posts a task for everything that had to wait while the isolate's code ran.
    fn catch_up(&self) {
        let key = self.key;
        if self.is_due.take() {
            self.runner.post(move || turn(key));
        }
        // Posted and not run here, so that input and frames get their turns in between.
        for f in self.deferred.take() {
            post_remote(&self.runner, key, f);
        }
    }

    fn take_handler(&self) -> Option<TakenHandler<'_>> {
        let handler = self.handler.take()?;
        Some(TakenHandler {
            bound: self,
            handler: Some(handler),
        })
    }
}

/// The handler of frames while it runs. Dropping this puts it back, unless its code has set another
/// one.
struct TakenHandler<'a> {
    bound: &'a Bound,
    /// `None` only in the drop.
    handler: Option<Box<dyn FrameHandler>>,
}

impl TakenHandler<'_> {
    fn get(&mut self) -> &mut dyn FrameHandler {
        match &mut self.handler {
            Some(handler) => &mut **handler,
            None => unreachable!("only the drop takes it"),
        }
    }
}

impl Drop for TakenHandler<'_> {
    fn drop(&mut self) {
        let mut place = self.bound.handler.borrow_mut();
        if place.is_none() {
            *place = self.handler.take();
        }
        // A handler that was replaced is dropped after this, when nothing is borrowed.
    }
}

/// Handles one message of a binding, as a task of the loop.
fn turn(key: u64) {
    if let Some(bound) = find(key) {
        bound.turn();
    }
}

/// Posts code of another thread, to run as the isolate. Returns `false` if the loop has ended.
fn post_remote(runner: &TaskRunner, key: u64, f: RemoteCode) -> bool {
    runner.post(move || {
        if let Some(bound) = find(key) {
            bound.enter_remote(f);
        }
    })
}

/// Returns the binding of this thread with this key, if it still exists.
fn find(key: u64) -> Option<Rc<Bound>> {
    // A strong reference, since the code that runs may drop the binding.
    BINDINGS.with_borrow(|bindings| bindings.get(&key).and_then(Weak::upgrade))
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Before the fields are dropped: code that runs at the isolate's end finds no binding.
        BINDINGS.with_borrow_mut(|bindings| {
            bindings.remove(&self.key);
            if bindings.is_empty() {
                // An empty map may still own memory, which no destructor would free.
                **bindings = BTreeMap::new();
            }
        });
    }
}

impl fmt::Debug for UiBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UiBinding")
            .field("runner", &self.0.runner)
            .finish_non_exhaustive()
    }
}

/// A handle that runs code as the isolate of a [`UiBinding`], from any thread.
#[derive(Clone, Debug)]
pub struct UiRemote {
    runner: TaskRunner,
    key: u64,
}

impl UiRemote {
    /// Posts `f`, to run as the isolate's code in a task of the loop. Returns `false` if the loop
    /// has ended; `f` has then been dropped. It is also dropped, unrun, if the isolate ends before
    /// the task runs.
    ///
    /// # Ordering
    /// As for the other tasks of the loop. If the isolate's own code runs the loop and the task
    /// comes meanwhile, `f` runs in a later task, after that code.
    pub fn post(&self, f: impl FnOnce(Pinned) + Send + 'static) -> bool {
        post_remote(&self.runner, self.key, Box::new(f))
    }
}

/// A guard that keeps a loop on its thread.
struct Pin(TaskRunner);

impl Pin {
    fn new(runner: &TaskRunner) -> Option<Self> {
        runner.shared().pin().then(|| Self(runner.clone()))
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.shared().unpin();
    }
}
