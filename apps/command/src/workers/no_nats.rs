//! In the place of workers on other machines, in a build without them.

use std::future::{Future, Ready, ready};

use insula::WorkerPool;
use insula::pool::{PoolBuilder, ServiceFactory};
use insula::rpc::Respond;
use insula::rpc::wire::WireContract;

use super::{Machines, Services, StartError};

const NOT_HERE: &str =
    "this program was built without workers on other machines: build it with `--features nats`";

/// The way to the machines, which there is not.
#[derive(Debug)]
pub(super) enum Way {}

impl Way {
    pub(super) fn close(self) -> Ready<()> {
        match self {}
    }
}

pub(super) fn start_on_machines<C: WireContract>(
    _builder: PoolBuilder,
    _machines: &Machines,
    _most_bytes: usize,
) -> Ready<Result<(WorkerPool<C>, Way), StartError>> {
    ready(Err(StartError::Missing(NOT_HERE)))
}

/// What a node serves, which there is not.
#[derive(Debug)]
pub enum Offered {}

impl Services for Offered {
    fn serve<R>(&mut self, _factory: impl ServiceFactory<R::Service>)
    where
        R: Respond,
        R::Contract: WireContract,
    {
        match *self {}
    }
}

pub(super) fn serve_until(
    _machines: &Machines,
    _most_bytes: usize,
    _workers: usize,
    _services: impl FnOnce(&mut Offered),
    _serves: impl FnOnce(),
    _stop: impl Future<Output = ()>,
) -> Ready<Result<(), String>> {
    ready(Err(NOT_HERE.to_owned()))
}
