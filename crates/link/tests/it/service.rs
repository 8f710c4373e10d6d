//! What runs behind the links of the simulation, and the notes of what has begun.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::{self, StreamExt as _};
use insula_core::sleep;
use insula_rpc::wire::Never;
use insula_rpc::{Context, Inbound, contract};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

#[contract(wire, crate = insula_rpc)]
pub(crate) trait Sim {
    /// Runs for so many microseconds.
    async fn run(&self, cx: &Context, id: u32, micros: u64) -> Result<u32, Never>;
    /// Answers with so many items.
    async fn items(
        &self,
        cx: &Context,
        id: u32,
        many: u32,
    ) -> Result<impl Stream<Item = Result<u32, Never>>, Never>;
    /// Returns the number of items.
    async fn sum(&self, cx: &Context, id: u32, items: Inbound<u32>) -> Result<u32, Never>;
}

/// The calls whose handlers have begun while their link was there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<BTreeMap<u32, u32>>>);

impl Notes {
    pub(crate) fn starts(&self, id: u32) -> u32 {
        self.0.lock().get(&id).copied().unwrap_or(0)
    }
}

/// The service behind one link.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) notes: Notes,
    /// The link is lost: what begins from here on, no program does.
    pub(crate) is_lost: Arc<AtomicBool>,
}

impl Service {
    fn begin(&self, id: u32) {
        if !self.is_lost.load(Ordering::SeqCst) {
            *self.notes.0.lock().entry(id).or_default() += 1;
        }
    }
}

impl Sim for Service {
    async fn run(&self, _cx: &Context, id: u32, micros: u64) -> Result<u32, Never> {
        self.begin(id);
        sleep(Duration::from_micros(micros)).await;
        Ok(id)
    }

    async fn items(
        &self,
        _cx: &Context,
        id: u32,
        many: u32,
    ) -> Result<impl Stream<Item = Result<u32, Never>>, Never> {
        self.begin(id);
        Ok(stream::iter(0..many).map(Ok))
    }

    async fn sum(&self, _cx: &Context, id: u32, mut items: Inbound<u32>) -> Result<u32, Never> {
        self.begin(id);
        let mut sum = 0;
        while let Some(Ok(_)) = items.next().await {
            sum += 1;
        }
        Ok(sum)
    }
}
