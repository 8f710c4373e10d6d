//! Pools whose workers are of the kind that the user wants.

use std::error::Error;
use std::fmt;

use insula::WorkerPool;
use insula::pool::{BuildError, PoolBuilder, ServiceFactory, Shutdown};
use insula::process::Process;
use insula::rpc::wire::WireContract;
use insula::rpc::{Calls, Respond};

use super::nats::{Way, start_on_machines};
use super::{Kind, KindOptions};

impl KindOptions {
    /// Starts a pool with the settings of a builder. Workers in this process have services that
    /// `factory` builds. Those in other processes have what the program serves there, and no value of
    /// a call may have more than `most_bytes` bytes.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start<R>(
        &self,
        builder: PoolBuilder,
        most_bytes: usize,
        factory: impl ServiceFactory<R::Service>,
    ) -> Result<Started<R::Contract>, StartError>
    where
        R: Respond,
        R::Contract: WireContract,
    {
        if self.machines.urls.is_some() && self.kind != Kind::Nats {
            return Err(StartError::Missing("--nats URLS is for --kind nats"));
        }
        let (pool, way) = match self.kind {
            Kind::Local => (builder.service::<R>(factory).build().await?, None),
            Kind::Process => {
                let process = Process::current_exe().most_bytes(most_bytes);
                let builder = builder.kind::<R::Contract, _>(process);
                (builder.build().await?, None)
            }
            Kind::Nats => {
                let (pool, way) = start_on_machines(builder, &self.machines, most_bytes).await?;
                (pool, Some(way))
            }
        };
        Ok(Started { pool, way })
    }
}

/// A pool of some kind. If it is dropped, machines on which workers are notice it only by its silence.
#[derive(Debug)]
#[must_use = "dropping a pool closes it"]
pub struct Started<C: Calls> {
    /// The pool.
    pub pool: WorkerPool<C>,
    way: Option<Way>,
}

impl<C: Calls> Started<C> {
    /// Ends the pool. What a worker still computes is lost; machines are told that.
    pub async fn end(self) {
        let Self { pool, way } = self;
        if let Some(way) = way {
            pool.shut_down(Shutdown::now()).await;
            drop(pool);
            way.close().await;
        }
    }
}

/// The reason why a pool did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A worker did not.
    Build(BuildError),
    /// What is missing in the options.
    Missing(&'static str),
}

impl From<BuildError> for StartError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Missing(what) => f.write_str(what),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            Self::Missing(_) => None,
        }
    }
}
