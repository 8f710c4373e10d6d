//! Runners: anybody's side of a loop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{Instant, Runtime};

use crate::shared::Shared;

/// Hands tasks to a loop, from any thread.
///
/// # Ordering
/// See [`MessageLoop`](crate::MessageLoop). Tasks of loops that are merged run in one order.
///
/// # Cancellation
/// A task cannot be taken back; it is dropped, on the loop's thread, if it is not due when the
/// loop ends.
#[derive(Clone)]
pub struct TaskRunner {
    shared: Arc<Shared>,
    runtime: Runtime,
}

impl TaskRunner {
    pub(crate) fn new(shared: Arc<Shared>, runtime: Runtime) -> Self {
        Self { shared, runtime }
    }

    /// The loop's name.
    pub fn label(&self) -> &str {
        self.shared.label()
    }

    /// Has `task` run as soon as those before it have. `false` if the loop has ended or is about
    /// to: then the task has been dropped, here.
    pub fn post(&self, task: impl FnOnce() + Send + 'static) -> bool {
        self.post_at(self.now(), task)
    }

    /// As [`post`](Self::post), in `delay` from now at the earliest.
    pub fn post_delayed(&self, delay: Duration, task: impl FnOnce() + Send + 'static) -> bool {
        self.post_at(self.now() + delay, task)
    }

    /// As [`post`](Self::post), at `due` at the earliest. A time that has passed puts the task in
    /// front of later ones.
    pub fn post_at(&self, due: Instant, task: impl FnOnce() + Send + 'static) -> bool {
        self.shared.post(due, Box::new(task))
    }

    /// Whether the loop runs its tasks on the calling thread, at the moment: merging changes
    /// that.
    pub fn runs_tasks_on_current_thread(&self) -> bool {
        self.shared.runs_here()
    }

    /// Runs `task` right here if this is the thread that runs the loop's tasks, without observers
    /// and past all tasks that wait; else posts it.
    pub fn run_now_or_post(&self, task: impl FnOnce() + Send + 'static) -> bool {
        if self.runs_tasks_on_current_thread() {
            task();
            return true;
        }
        self.post(task)
    }

    /// From now on this loop runs the tasks of `subsumed` too, on its own thread, all of them in
    /// the order of their times; and after each task the observers of both run. `true` if that
    /// is so now, also if it was before.
    ///
    /// `false` if `subsumed` owns another loop or is owned by one, if this one is owned, if
    /// either has ended, or if something is bound to the thread of `subsumed`
    /// ([`UiBinding`](crate::UiBinding)). A loop may own several. Both have to be on one clock.
    ///
    /// A task that runs at this moment on the thread of `subsumed` comes to its end there, before
    /// this loop takes the next one.
    pub fn merge(&self, subsumed: &Self) -> bool {
        self.shared.merge(&subsumed.shared)
    }

    /// Gives `subsumed` its tasks back; `false` if it was not merged into this loop. What is due
    /// later is not lost, and a task that runs at this moment comes to its end first.
    pub fn unmerge(&self, subsumed: &Self) -> bool {
        self.shared.unmerge(&subsumed.shared)
    }

    /// Ends the loop, without waiting for it. See "Shutdown" of
    /// [`MessageLoop`](crate::MessageLoop).
    ///
    /// A merged loop leaves its owner. An owner's last run includes what is due in the loops
    /// that it owns; then they go on by themselves.
    pub fn terminate(&self) {
        self.shared.terminate();
    }

    /// The time on the loop's clock.
    pub fn now(&self) -> Instant {
        self.runtime.now()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for TaskRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRunner").field(&self.label()).finish()
    }
}

/// The runners of a program with a user interface. Several of them may be the same one, which
/// is how a program has its platform's thread do the work of another.
#[derive(Clone, Debug)]
pub struct TaskRunners {
    /// Whose they are, for reports.
    pub label: Arc<str>,
    /// Talks to the window system, on the thread that it demands.
    pub platform: TaskRunner,
    /// Runs the root isolate.
    pub ui: TaskRunner,
    /// Draws.
    pub raster: TaskRunner,
    /// Does what may wait for a device.
    pub io: TaskRunner,
}

impl TaskRunners {
    /// One runner for everything.
    pub fn single(label: impl Into<Arc<str>>, runner: &TaskRunner) -> Self {
        Self {
            label: label.into(),
            platform: runner.clone(),
            ui: runner.clone(),
            raster: runner.clone(),
            io: runner.clone(),
        }
    }
}
