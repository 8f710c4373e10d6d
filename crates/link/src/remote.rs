//! A responder whose service is at the other end of a link.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use insula_rpc::wire::{Limits, WireContract, relay};
use insula_rpc::{Ended, Respond, Scope};

use crate::Origin;

/// The connection of a worker to the program that runs its calls.
pub struct Connection {
    origin: Arc<Origin>,
    limits: Limits,
    _medium: Box<dyn Any + Send + Sync>,
}

impl Connection {
    /// Makes the connection of an end whose messages have at most what `limits` says. `medium` is what
    /// carries its frames, and is dropped with the connection.
    pub fn new(
        origin: Arc<Origin>,
        limits: impl Into<Limits>,
        medium: impl Any + Send + Sync,
    ) -> Self {
        Self {
            origin,
            limits: limits.into(),
            _medium: Box::new(medium),
        }
    }
}

/// Passes the calls of the contract `C` on, in the place of a responder with a service of its own.
pub struct Remote<C> {
    connection: Connection,
    contract: PhantomData<fn(C)>,
}

impl<C: WireContract> Respond for Remote<C> {
    type Contract = C;
    type Service = Connection;

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            contract: PhantomData,
        }
    }

    async fn respond(&self, call: C, scope: &Scope) -> Ended {
        let Connection { origin, limits, .. } = &self.connection;
        relay(call, scope, &**origin, *limits).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.origin).finish()
    }
}

impl<C> fmt::Debug for Remote<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.connection).finish()
    }
}
