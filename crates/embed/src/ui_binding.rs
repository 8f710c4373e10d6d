//! The root isolate on a loop: messages become tasks, and frames are moments of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::rc::{Rc, Weak};

use insula_core::{
    EntryOutput, ExitReason, Handled, Instant, Isolate, Pinned, RootBuilder, RootIsolate, RootPhase,
};

use crate::frame::{Frame, FrameClock};
use crate::message_loop::MessageLoop;
use crate::task_runner::TaskRunner;

/// Ties a root isolate to the loop of its thread.
///
/// Each message is a task of its own, so input, frames and messages take turns. Microtasks run
/// at the end of whatever has run as the isolate, before the loop's observers.
///
/// The isolate cannot leave its thread, so while it is bound, its loop cannot be merged into
/// another one. (It may own others.)
///
/// # Shutdown
/// Dropping the binding ends the isolate, and all of its group.
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

/// What a program does in a frame. All of it runs as the isolate.
pub trait FrameHandler {
    /// The first half: moves whatever is animated to the time of the frame. The microtasks that
    /// this leaves run before the second half.
    fn begin_frame(&mut self, frame: &Frame);

    /// The second half: draws.
    fn draw_frame(&mut self, frame: &Frame);

    /// Nothing is to be done until `deadline`: the moment for what can wait.
    fn idle(&mut self, deadline: Instant) {
        let _ = deadline;
    }
}

/// Why an isolate could not be bound to a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The loop is merged into another one, on whose thread its tasks run, or it has ended.
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
    /// A task came to handle a message while the isolate's code ran.
    is_due: Cell<bool>,
    clock: RefCell<FrameClock>,
    /// Absent while it runs.
    handler: RefCell<Option<Box<dyn FrameHandler>>>,
    /// Keeps the loop on this thread.
    _pin: Pin,
}

/// Each binding takes itself out, so that there is nothing to drop at the end of the thread.
type Bindings = ManuallyDrop<BTreeMap<u64, Weak<Bound>>>;

thread_local! {
    /// The bindings of this thread, so that tasks, which travel between threads, can name one.
    /// Without a destructor it can be used to the very end of the thread.
    static BINDINGS: RefCell<Bindings> =
        const { RefCell::new(ManuallyDrop::new(BTreeMap::new())) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

impl UiBinding {
    /// Makes an isolate of this thread, without an entry, and binds it to `ui`. What it does is
    /// started with [`enter`](Self::enter).
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn new(ui: &MessageLoop, root: RootBuilder) -> Result<Self, BindError> {
        Self::bind(ui, root, RootBuilder::create)
    }

    /// As [`new`](Self::new), with an entry, which runs as the isolate's first event.
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
        let pin = Pin::new(&runner).ok_or(BindError::LoopUnavailable)?;
        let key = NEXT.replace(NEXT.get() + 1);
        let notified = runner.clone();
        let root = root.notify(move || {
            // A loop that has ended handles nothing more.
            notified.post(move || turn(key));
        });
        let bound = Rc::new(Bound {
            key,
            runner,
            root: RefCell::new(make(root)),
            is_due: Cell::new(false),
            clock: RefCell::default(),
            handler: RefCell::new(None),
            _pin: pin,
        });
        BINDINGS.with_borrow_mut(|bindings| bindings.insert(key, Rc::downgrade(&bound)));
        Ok(Self(bound))
    }

    /// Runs `f` as the isolate's code, and then the microtasks. `None` if the isolate has ended,
    /// or was killed, or `f` panicked: as [`RootIsolate::enter`].
    ///
    /// # Panics
    /// In the isolate's own code.
    pub fn enter<R>(&self, f: impl FnOnce(Pinned) -> R) -> Option<R> {
        self.0.enter(f)
    }

    /// Runs a frame of the time `time`: the handler's first half, the microtasks, its second
    /// half. `None` if there is no handler, if a frame runs at this moment, or if the isolate has
    /// ended, be it by a panic of the handler.
    ///
    /// # Panics
    /// In the isolate's own code.
    pub fn begin_frame(&self, time: Instant) -> Option<Frame> {
        let mut handler = self.0.handler.take()?;
        let frame = self.0.clock.borrow_mut().begin(time);
        let begun = self.enter(|_| handler.begin_frame(&frame));
        let drawn = begun.and_then(|()| self.enter(|_| handler.draw_frame(&frame)));
        self.0.put_back(handler);
        drawn.map(|()| frame)
    }

    /// Tells the handler that nothing is to be done until `deadline`.
    ///
    /// # Panics
    /// In the isolate's own code.
    pub fn notify_idle(&self, deadline: Instant) {
        if let Some(mut handler) = self.0.handler.take() {
            self.enter(|_| handler.idle(deadline));
            self.0.put_back(handler);
        }
    }

    /// Sets what is done in frames.
    pub fn set_frame_handler(&self, handler: impl FrameHandler + 'static) {
        let before = self.0.handler.replace(Some(Box::new(handler)));
        drop(before);
    }

    /// A way for other threads to run code as the isolate.
    pub fn remote(&self) -> UiRemote {
        UiRemote {
            runner: self.0.runner.clone(),
            key: self.0.key,
        }
    }

    /// The isolate, for others.
    ///
    /// # Panics
    /// In the isolate's own code, which has [`Isolate::current`].
    pub fn isolate(&self) -> Isolate {
        self.0.root.borrow().isolate().clone()
    }

    /// How far the isolate has come.
    ///
    /// # Panics
    /// In the isolate's own code.
    pub fn phase(&self) -> RootPhase {
        self.0.root.borrow().phase()
    }

    /// Why the isolate has ended, if it has.
    ///
    /// # Panics
    /// In the isolate's own code.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        let mut root = self.0.root.borrow_mut();
        if root.phase() != RootPhase::ShutDown {
            return None;
        }
        match root.handle_message() {
            Handled::Exited(reason) => Some(reason),
            Handled::Idle | Handled::More | Handled::Paused => None,
        }
    }

    /// Ends a pause on start or on exit.
    ///
    /// # Panics
    /// In the isolate's own code.
    pub fn resume(&self) {
        self.0.root.borrow().resume();
    }
}

impl Bound {
    fn enter<R>(&self, f: impl FnOnce(Pinned) -> R) -> Option<R> {
        let mut root = self.root.borrow_mut();
        let result = root.enter(f);
        drop(root);
        self.catch_up();
        result
    }

    /// Handles one message, and sees to it that the next one is handled.
    fn turn(&self) {
        let Ok(mut root) = self.root.try_borrow_mut() else {
            // The isolate's code runs a loop of its own, which cannot run the isolate.
            return self.is_due.set(true);
        };
        let handled = root.handle_message();
        drop(root);
        if handled == Handled::More {
            self.is_due.set(true);
        }
        self.catch_up();
    }

    fn catch_up(&self) {
        if self.is_due.take() {
            let key = self.key;
            self.runner.post(move || turn(key));
        }
    }

    /// Unless it has set another one.
    fn put_back(&self, handler: Box<dyn FrameHandler>) {
        let mut place = self.handler.borrow_mut();
        if place.is_none() {
            *place = Some(handler);
        }
    }
}

/// The task of a message.
fn turn(key: u64) {
    if let Some(bound) = find(key) {
        bound.turn();
    }
}

/// A binding of this thread that is still there.
fn find(key: u64) -> Option<Rc<Bound>> {
    BINDINGS.with_borrow(|bindings| bindings.get(&key).and_then(Weak::upgrade))
}

impl Drop for Bound {
    fn drop(&mut self) {
        BINDINGS.with_borrow_mut(|bindings| {
            bindings.remove(&self.key);
            if bindings.is_empty() {
                // An empty map may still have memory.
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

/// Hands code to the isolate of a [`UiBinding`], from any thread.
#[derive(Clone, Debug)]
pub struct UiRemote {
    runner: TaskRunner,
    key: u64,
}

impl UiRemote {
    /// Has `f` run as the isolate's code, as a task of the loop. `false` if the loop has ended;
    /// `f` has been dropped then. It is dropped, too, if the isolate has ended meanwhile.
    ///
    /// # Ordering
    /// With the other tasks of the loop.
    pub fn post(&self, f: impl FnOnce(Pinned) + Send + 'static) -> bool {
        let key = self.key;
        self.runner.post(move || {
            if let Some(bound) = find(key) {
                bound.enter(f);
            }
        })
    }
}

/// While it is there, the loop stays on its thread.
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
