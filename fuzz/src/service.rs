//! A contract with each kind of method, and a service that keeps count of its handlers.

use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use insula_core::sleep;
use insula_memory::Segment;
use insula_rpc::wire::Never;
use insula_rpc::{Context, Inbound, contract};
use insula_sync::atomic::{AtomicUsize, Ordering};
use serde::{Deserialize, Serialize};

/// A value of several forms, which is nested.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Tree {
    /// A number.
    Leaf(u8),
    /// A text.
    Named {
        /// What it says.
        name: String,
    },
    /// Others.
    Node(Vec<Tree>),
    /// Another one.
    Only(Box<Tree>),
    /// None.
    Nothing,
}

/// One method of each kind.
#[contract(wire, crate = insula_rpc)]
pub trait Fuzzed {
    /// Answers, after so many microseconds.
    async fn echo(&self, cx: &Context, micros: u8, tree: Tree) -> Result<Tree, String>;
    /// Answers with the length of what went beside the bytes.
    async fn weigh(&self, cx: &Context, segments: Vec<Segment>) -> Result<u64, Never>;
    /// Answers with so many items, and fails then if it is told to.
    async fn items(
        &self,
        cx: &Context,
        many: u8,
        fails: bool,
    ) -> Result<impl Stream<Item = Result<u32, String>>, String>;
    /// Returns the number of items.
    async fn sum(&self, cx: &Context, items: Inbound<String>) -> Result<u32, Never>;
    /// Answers to each item with its length.
    async fn lengths(
        &self,
        cx: &Context,
        items: Inbound<String>,
    ) -> Result<impl Stream<Item = Result<u32, Never>>, Never>;
}

/// The service, and its counts.
#[derive(Debug, Clone, Default)]
pub struct Service {
    begun: Arc<AtomicUsize>,
    here: Arc<AtomicUsize>,
}

/// A handler that has begun and has not ended.
struct Here(Arc<AtomicUsize>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service {
    /// Returns the handlers that were ever begun.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns the handlers that have not ended.
    pub fn here(&self) -> usize {
        self.here.load(Ordering::Relaxed)
    }

    fn begin(&self) -> Here {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.here.fetch_add(1, Ordering::Relaxed);
        Here(Arc::clone(&self.here))
    }
}

impl Fuzzed for Service {
    async fn echo(&self, cx: &Context, micros: u8, tree: Tree) -> Result<Tree, String> {
        let _here = self.begin();
        cx.progress(insula_rpc::Progress::new(micros.into()));
        if micros > 0 {
            sleep(Duration::from_micros(micros.into())).await;
        }
        match tree {
            Tree::Named { name } => Err(name),
            tree => Ok(tree),
        }
    }

    async fn weigh(&self, _cx: &Context, segments: Vec<Segment>) -> Result<u64, Never> {
        let _here = self.begin();
        Ok(segments.iter().map(|it| it.len() as u64).sum())
    }

    async fn items(
        &self,
        _cx: &Context,
        many: u8,
        fails: bool,
    ) -> Result<impl Stream<Item = Result<u32, String>>, String> {
        let _here = self.begin();
        let end = fails.then(|| Err("as it was told".to_owned()));
        Ok(stream::iter((0..u32::from(many)).map(Ok).chain(end)))
    }

    async fn sum(&self, _cx: &Context, mut items: Inbound<String>) -> Result<u32, Never> {
        let _here = self.begin();
        let mut sum = 0;
        while let Some(Ok(_)) = items.next().await {
            sum += 1;
        }
        Ok(sum)
    }

    async fn lengths(
        &self,
        _cx: &Context,
        items: Inbound<String>,
    ) -> Result<impl Stream<Item = Result<u32, Never>>, Never> {
        let here = self.begin();
        Ok(stream::unfold((items, here), |(mut items, here)| async {
            match items.next().await {
                Some(Ok(item)) => Some((Ok(item.len() as u32), (items, here))),
                _ => None,
            }
        }))
    }
}
