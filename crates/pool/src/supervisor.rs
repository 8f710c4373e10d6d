//! The isolate that starts a pool's workers again.
//!
//! It sleeps until the dispatch has a start that is due, and ends with the pool. It is one isolate
//! and not a task of the workers', since it has to outlive each of them.

use std::sync::Arc;

use insula_core::Isolate;
use insula_rpc::Respond;

use crate::shared::Shared;
use crate::worker::{Factory, Seed};

pub(crate) struct Supervisor<R: Respond> {
    shared: Arc<Shared<R::Contract>>,
    factory: Factory<R>,
}

impl<R: Respond> Supervisor<R> {
    pub(crate) fn new(shared: Arc<Shared<R::Contract>>, factory: Factory<R>) -> Self {
        Self { shared, factory }
    }

    pub(crate) fn spawn(self) {
        let name = format!("{}.supervisor", self.shared.name);
        Isolate::builder().name(name).spawn(Self::run, self);
    }

    async fn run(self) {
        // Each state is built in an isolate of its own, so a slow factory delays no other start.
        while let Some(start) = self.shared.next_start().await {
            let (shared, factory) = (Arc::clone(&self.shared), Arc::clone(&self.factory));
            Seed::again(shared, start, factory).spawn();
        }
    }
}

/// However it ends, and also if it never ran: workers that wait for it must not wait for ever.
impl<R: Respond> Drop for Supervisor<R> {
    fn drop(&mut self) {
        self.shared.orphan();
    }
}
