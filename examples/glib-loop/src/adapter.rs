//! A loop of ours inside of glib's default main context.
//!
//! The wake function attaches an idle source of ordinary priority, once until it has run; that
//! runs the tasks, on glib's thread, and sets a timeout for the next one that is due. glib counts
//! milliseconds, so that a task may be late by one, and is never early.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use glib::{ControlFlow, Priority, SourceId};
use insula::embed::{Flush, MessageLoop};
use insula::{Instant, Runtime};

/// Drives a [`MessageLoop`] from the thread's default main context.
pub(crate) struct Adapter {
    ui_loop: MessageLoop,
    is_woken: Arc<AtomicBool>,
    timeout: RefCell<Option<SourceId>>,
}

thread_local! {
    /// Sources may be attached by any thread, so they cannot hold what belongs to this one.
    static INSTALLED: RefCell<Option<Rc<Adapter>>> = const { RefCell::new(None) };
}

impl Adapter {
    /// Makes a loop for this thread, which has to be the one that runs the default main context.
    pub(crate) fn install(label: &str) -> Rc<Self> {
        let is_woken = Arc::new(AtomicBool::new(false));
        let flag = is_woken.clone();
        let ui_loop =
            MessageLoop::in_foreign_loop(label, &Runtime::global(), move || attach(&flag));
        let this = Rc::new(Self {
            ui_loop,
            is_woken,
            timeout: RefCell::new(None),
        });
        INSTALLED.set(Some(this.clone()));
        this
    }

    pub(crate) fn message_loop(&self) -> &MessageLoop {
        &self.ui_loop
    }

    /// Runs what is due and arranges for the rest.
    fn turn(&self) {
        // Before the look at the tasks: what comes after it attaches another source. Acquire
        // pairs with the Release in `attach`.
        self.is_woken.swap(false, Ordering::Acquire);
        let flushed = self.ui_loop.flush_tasks(Flush::All);
        if let Some(timeout) = self.timeout.take() {
            timeout.remove();
        }
        let Some(due) = flushed.next_due else {
            return;
        };
        let left = due - Instant::now();
        if left.is_zero() {
            attach(&self.is_woken);
        } else {
            let timeout = glib::timeout_add_local_once(round_up(left), || {
                with_installed(|this| {
                    // It has fired, so there is nothing to remove.
                    this.timeout.take();
                    this.turn();
                });
            });
            self.timeout.replace(Some(timeout));
        }
    }
}

/// Has the main context run the tasks, from any thread.
fn attach(is_woken: &AtomicBool) {
    if !is_woken.swap(true, Ordering::AcqRel) {
        let source = glib::idle_source_new(None, Priority::DEFAULT, || {
            with_installed(Adapter::turn);
            ControlFlow::Break
        });
        source.attach(None);
    }
}

fn with_installed(f: impl FnOnce(&Adapter)) {
    if let Some(this) = INSTALLED.with_borrow(Clone::clone) {
        f(&this);
    }
}

/// To whole milliseconds.
fn round_up(time: Duration) -> Duration {
    let millis = time.as_micros().div_ceil(1000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
