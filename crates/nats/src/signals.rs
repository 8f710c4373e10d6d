//! What the threads of an end ask of the task that moves its messages.

use std::sync::Arc;
use std::task::Wake;

use insula_sync::Mutex;
use tokio::sync::Notify;

/// The questions that the task has not looked at. As a waker it says that frames wait.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    bell: Notify,
    asked: Mutex<Asked>,
}

/// What is asked.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The frames with which this end is done, since the last look.
    pub(crate) taken: usize,
    /// The other end should get ready for the end of the link.
    pub(crate) is_going: bool,
    /// The link is to end.
    pub(crate) closing: Option<Closing>,
}

/// How a link is to end, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closing {
    /// After all that this end had to say.
    Complete(String),
    /// At once.
    Broken(String),
}

impl Signals {
    /// Says that this end is done with one more frame.
    pub(crate) fn take_one(&self) {
        self.asked.lock().taken += 1;
        self.bell.notify_one();
    }

    pub(crate) fn go(&self) {
        self.asked.lock().is_going = true;
        self.bell.notify_one();
    }

    /// Asks for the end of the link. The first reason counts.
    pub(crate) fn close(&self, closing: Closing) {
        self.asked.lock().closing.get_or_insert(closing);
        self.bell.notify_one();
    }

    /// Returns what was asked since the last look. The end of the link is asked for ever.
    pub(crate) fn look(&self) -> Asked {
        let mut asked = self.asked.lock();
        Asked {
            taken: std::mem::take(&mut asked.taken),
            is_going: std::mem::take(&mut asked.is_going),
            closing: asked.closing.clone(),
        }
    }

    /// Ready once there may be something new.
    pub(crate) async fn wait(&self) {
        self.bell.notified().await;
    }
}

impl Wake for Signals {
    fn wake(self: Arc<Self>) {
        self.bell.notify_one();
    }
}
