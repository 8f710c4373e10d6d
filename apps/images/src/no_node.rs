//! In the place of workers on other machines, in a build without them.

use std::future::{Future, Ready, ready};

use insula::pool::PoolBuilder;

use crate::{Machines, PicturePool, StartError};

const NOT_HERE: &str =
    "this program was built without workers on other machines: build it with `--features nats`";

/// The way to the machines, which there is not.
#[derive(Debug)]
pub(crate) enum Way {}

impl Way {
    pub(crate) fn close(self) -> Ready<()> {
        match self {}
    }
}

pub(crate) fn start_on_machines(
    _builder: PoolBuilder,
    _machines: &Machines,
) -> Ready<Result<(PicturePool, Way), StartError>> {
    ready(Err(StartError::Missing(NOT_HERE)))
}

/// Serves pictures to pools on other machines, in a build that can.
///
/// # Errors
/// This one cannot.
pub async fn serve_machines(
    _machines: &Machines,
    _workers: usize,
    _stop: impl Future<Output = ()>,
    _serves: impl FnOnce(),
) -> Result<(), String> {
    Err(NOT_HERE.to_owned())
}
