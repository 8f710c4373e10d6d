//! The contract that all tests use, and a service that does what a test needs.

use std::fmt;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream;
use insula_rpc::{Cancelled, Context, contract};
use insula_sync::Mutex;

#[contract(name = "probe", version = 2, crate = insula_rpc)]
pub(crate) trait Probe {
    /// Gives the text back.
    async fn echo(&self, cx: &Context, text: String) -> Result<String, Oops>;
    /// Gives the number back as an error.
    async fn fail(&self, cx: &Context, number: u32) -> Result<(), Oops>;
    /// Panics with the text.
    async fn panic(&self, cx: &Context, text: String) -> Result<(), Oops>;
    /// Waits to be cancelled, and then ends by itself.
    async fn wait(&self, cx: &Context) -> Result<(), Oops>;
    /// Ignores that it is cancelled.
    async fn hang(&self, cx: &Context) -> Result<(), Oops>;
    /// As `hang`, but may run more than once.
    #[idempotent]
    async fn hang_again(&self, cx: &Context) -> Result<(), Oops>;
    /// Takes bytes that do not implement `Clone`.
    #[idempotent]
    async fn weigh(&self, cx: &Context, bytes: Vec<u8>) -> Result<Box<[u8]>, Oops>;
    /// Counts up to a number, which an error follows if it is odd.
    async fn count(
        &self,
        cx: &Context,
        up_to: u32,
    ) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops>;
    /// Gives one item and panics.
    async fn blow(&self, cx: &Context) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops>;
    /// Gives one item and nothing more, not even an end.
    async fn stall(&self, cx: &Context) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Oops {
    Number(u32),
    Stopped(Cancelled),
}

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oops: {self:?}")
    }
}

impl std::error::Error for Oops {}

/// Writes down what its handlers did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// Notes its drop.
pub(crate) struct Tripwire(Recorder, &'static str);

impl Tripwire {
    pub(crate) fn new(recorder: &Recorder, line: &'static str) -> Self {
        Self(recorder.clone(), line)
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

/// Notes its drop, and panics in it.
pub(crate) struct Spike(pub(crate) Recorder);

impl Drop for Spike {
    fn drop(&mut self) {
        self.0.note("spike");
        panic!("a spike");
    }
}

impl Probe for Recorder {
    async fn echo(&self, _cx: &Context, text: String) -> Result<String, Oops> {
        self.note(format!("echo {text}"));
        Ok(text)
    }

    async fn fail(&self, _cx: &Context, number: u32) -> Result<(), Oops> {
        Err(Oops::Number(number))
    }

    async fn panic(&self, _cx: &Context, text: String) -> Result<(), Oops> {
        panic!("{text}");
    }

    async fn wait(&self, cx: &Context) -> Result<(), Oops> {
        self.note("wait");
        let cancelled = cx.cancelled().await;
        assert!(cx.is_cancelled() && cx.check() == Err(cancelled));
        self.note(format!("cancelled by {}", cancelled.by));
        Err(Oops::Stopped(cancelled))
    }

    async fn hang(&self, _cx: &Context) -> Result<(), Oops> {
        let _tripwire = Tripwire::new(self, "hang dropped");
        std::future::pending().await
    }

    async fn hang_again(&self, cx: &Context) -> Result<(), Oops> {
        self.hang(cx).await
    }

    async fn weigh(&self, _cx: &Context, bytes: Vec<u8>) -> Result<Box<[u8]>, Oops> {
        Ok(bytes.into_boxed_slice())
    }

    async fn count(
        &self,
        _cx: &Context,
        up_to: u32,
    ) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops> {
        let (recorder, tripwire) = (self.clone(), Tripwire::new(self, "count dropped"));
        if up_to == 0 {
            return Err(Oops::Number(0));
        }
        Ok(stream::unfold(0, move |at| {
            let _held = &tripwire;
            let next = if at < up_to {
                recorder.note(format!("item {at}"));
                Some((Ok(at), at + 1))
            } else {
                (at == up_to && up_to % 2 == 1).then(|| (Err(Oops::Number(at)), at + 1))
            };
            std::future::ready(next)
        }))
    }

    async fn blow(&self, _cx: &Context) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops> {
        Ok(stream::unfold(0, |at| async move {
            assert!(at == 0, "blown");
            Some((Ok(at), at + 1))
        }))
    }

    async fn stall(&self, _cx: &Context) -> Result<impl Stream<Item = Result<u32, Oops>>, Oops> {
        let tripwire = Tripwire::new(self, "stall dropped");
        Ok(stream::unfold(0, move |at| {
            let _held = &tripwire;
            async move {
                if at > 0 {
                    std::future::pending::<()>().await;
                }
                Some((Ok(at), at + 1))
            }
        }))
    }
}
