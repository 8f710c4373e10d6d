//! Runners: handles with which any thread posts tasks to a loop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{Instant, Runtime};

use crate::shared::Shared;

/// A handle that posts tasks to a loop, from any thread.
///
/// # Ordering
/// See [`MessageLoop`](crate::MessageLoop). The tasks of merged loops run in one order.
///
/// # Cancellation
/// A posted task cannot be taken back. If it is not due when the loop ends, it is dropped on the
/// loop's thread.
#[derive(Clone)]
pub struct TaskRunner {
    shared: Arc<Shared>,
    runtime: Runtime,
}

impl TaskRunner {
    pub(crate) fn new(shared: Arc<Shared>, runtime: Runtime) -> Self {
        Self { shared, runtime }
    }

    /// Returns the loop's name.
    pub fn label(&self) -> &str {
        self.shared.label()
    }

    /// Posts `task`, to run after the tasks that are due before it. Returns `false` if the loop
    /// has ended or is about to; `task` has then been dropped on the calling thread.
    pub fn post(&self, task: impl FnOnce() + Send + 'static) -> bool {
        self.post_at(self.now(), task)
    }

    /// Like [`post`](Self::post), but runs `task` after `delay` at the earliest.
    pub fn post_delayed(&self, delay: Duration, task: impl FnOnce() + Send + 'static) -> bool {
        self.post_at(self.now() + delay, task)
    }

    /// Like [`post`](Self::post), but runs `task` at `due` at the earliest. A time that has passed
    /// puts the task before those that are due later.
    pub fn post_at(&self, due: Instant, task: impl FnOnce() + Send + 'static) -> bool {
        self.shared.post(due, Box::new(task))
    }

    /// Returns whether the loop's tasks run on the calling thread at the moment. A merge or an
    /// unmerge changes that.
    pub fn runs_tasks_on_current_thread(&self) -> bool {
        self.shared.runs_here()
    }

    /// Runs `task` at once if the calling thread runs the loop's tasks, before all waiting tasks
    /// and without observers. Otherwise posts it, and returns what [`post`](Self::post) does.
    pub fn run_now_or_post(&self, task: impl FnOnce() + Send + 'static) -> bool {
        if self.runs_tasks_on_current_thread() {
            task();
            return true;
        }
        self.post(task)
    }

    /// Merges `subsumed` into this loop. From now on this loop runs the tasks of both on its own
    /// thread, in the order of their times, and after each task the observers of both. Returns
    /// `true` if the loops are merged now, also if they already were.
    ///
    /// Returns `false` if `subsumed` owns another loop or is owned by one, if this loop is owned,
    /// if either has ended, or if something is bound to the thread of `subsumed`
    /// ([`UiBinding`](crate::UiBinding)). A loop may own several. Both must use the same clock.
    ///
    /// A task that is running on the thread of `subsumed` finishes there before this loop takes
    /// the next one.
    pub fn merge(&self, subsumed: &Self) -> bool {
        self.shared.merge(&subsumed.shared)
    }

    /// Gives `subsumed` its tasks back, also those that are due later. Returns `false` if it was
    /// not merged into this loop. A task that is running finishes before `subsumed` takes the
    /// next one.
    pub fn unmerge(&self, subsumed: &Self) -> bool {
        self.shared.unmerge(&subsumed.shared)
    }

    /// Ends the loop, without waiting for its end. See "Shutdown" of
    /// [`MessageLoop`](crate::MessageLoop).
    ///
    /// A subsumed loop leaves its owner. The last run of an owner includes the due tasks of the
    /// loops that it owns; afterwards these loops run their own tasks again.
    pub fn terminate(&self) {
        self.shared.terminate();
    }

    /// Returns the time on the loop's clock.
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

/// The runners of a program with a user interface. Several of them may be the same runner, so that
/// one thread, such as the platform's, does the work of several.
#[derive(Clone, Debug)]
pub struct TaskRunners {
    /// The name of their owner, for reports.
    pub label: Arc<str>,
    /// Talks to the window system, on the thread that the window system requires.
    pub platform: TaskRunner,
    /// Runs the root isolate.
    pub ui: TaskRunner,
    /// Draws.
    pub raster: TaskRunner,
    /// Runs tasks that may wait for a device.
    pub io: TaskRunner,
}

impl TaskRunners {
    /// Uses one runner for everything.
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
