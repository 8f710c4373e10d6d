//! The kinds of workers, and pools that have workers of two kinds.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use insula_rpc::{Calls, Ended, Respond, Scope};

use crate::builder::ServiceFactory;
use crate::error::FactoryError;
use crate::worker::WorkerContext;

/// A kind of worker: what a worker of a pool is in the place of an isolate with a service. The calls
/// of the contract `C`, their errors and the options of the pool are the same with each.
pub trait Kind<C: Calls>: Send + Sync + 'static {
    /// The responder that brings calls to where they run.
    type Responder: Respond<Contract = C>;

    /// Starts what the calls of a worker need, as a factory builds a service. The worker takes calls
    /// once that is ready. The end of what was started is told by [`WorkerContext::end`].
    fn start(&self, cx: WorkerContext) -> Starting<<Self::Responder as Respond>::Service>;

    /// Returns the number of workers, from the first, which are woken for a call before all others if
    /// they have room, and which stay the longest in a pool that becomes smaller. By default all
    /// workers are alike.
    fn preferred(&self) -> usize {
        0
    }
}

/// The start of what a worker of some [`Kind`] needs.
pub type Starting<S> = Pin<Box<dyn Future<Output = Result<S, FactoryError>> + Send>>;

/// Workers that are isolates of this program, each with a service, as
/// [`service`](crate::PoolBuilder::service) makes them: a kind for one side of a [`Hybrid`].
pub struct Local<R: Respond, F> {
    factory: F,
    responder: PhantomData<fn() -> R>,
}

impl<R: Respond, F: ServiceFactory<R::Service>> Local<R, F> {
    /// Makes the kind of workers that answer calls with services which `factory` builds.
    pub fn new(factory: F) -> Self {
        Self {
            factory,
            responder: PhantomData,
        }
    }
}

impl<R: Respond, F: ServiceFactory<R::Service>> Kind<R::Contract> for Local<R, F> {
    type Responder = R;

    fn start(&self, cx: WorkerContext) -> Starting<R::Service> {
        Box::pin((self.factory)(cx))
    }
}

impl<R: Respond, F> fmt::Debug for Local<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

/// Workers of two kinds in one pool: calls go to those of the first kind while one of them has room,
/// and spill over to the others. A worker in the middle of a turn counts as busy, however many calls it may
/// run at once.
///
/// The policy of the pool ([`balance`](crate::PoolBuilder::balance)) decides among the workers of the
/// first kind that have room, and, if none has, among the others. While all are busy, each takes the
/// oldest call as soon as it has room. Calls with a [key](insula_rpc::Call::key) are spread over all
/// workers. A pool that has no more workers than those of the first kind has no others: the default is one
/// for each core.
///
/// What only one of the kinds enforces holds there alone: the isolates of a pool of isolates and processes
/// have no limits of the system.
///
/// All workers with which a pool starts have to be ready before [`build`](crate::PoolBuilder::build)
/// returns. Let the pool follow its load, from the number of the first kind on, and the others start
/// when calls wait, and are retired first:
///
/// ```
/// # use std::convert::Infallible;
/// # use insula_core::block_on;
/// # use insula_rpc::{Context, contract};
/// use insula_pool::{Hybrid, Local, WorkerPool};
/// # #[contract(crate = insula_rpc)]
/// # trait Names {
/// #     async fn name(&self, cx: &Context) -> Result<&'static str, Infallible>;
/// # }
/// # #[derive(Clone)]
/// # struct Near;
/// # impl Names for Near {
/// #     async fn name(&self, _cx: &Context) -> Result<&'static str, Infallible> { Ok("near") }
/// # }
///
/// # block_on(async {
/// # let far = Local::<NamesResponder<Near>, _>::new(|_cx| async { Ok(Near) });
/// // `far` is a kind such as `Process` or `Nats`.
/// let near = Local::<NamesResponder<_>, _>::new(|_cx| async { Ok(Near) });
/// let pool = WorkerPool::builder()
///     .workers(2..=6)
///     .kind::<NamesRequest, _>(Hybrid::new(near, 2, far))
///     .build()
///     .await?;
/// let caller: NamesCaller = pool.caller();
/// assert_eq!(caller.name().await?, "near");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Hybrid<A, B> {
    first: A,
    workers: usize,
    others: B,
}

impl<A, B> Hybrid<A, B> {
    /// Makes the first `workers` workers of a pool of the kind `first`, and all others of the kind
    /// `others`.
    ///
    /// The others may be a hybrid too. Its workers are counted from the first one of the pool as well:
    /// `Hybrid::new(a, 2, Hybrid::new(b, 6, c))` makes two workers of the kind `a` and four of `b`.
    pub fn new(first: A, workers: usize, others: B) -> Self {
        Self {
            first,
            workers,
            others,
        }
    }
}

impl<C: Calls, A: Kind<C>, B: Kind<C>> Kind<C> for Hybrid<A, B> {
    type Responder = Either<A::Responder, B::Responder>;

    fn start(&self, cx: WorkerContext) -> Starting<<Self::Responder as Respond>::Service> {
        if cx.worker().index() < self.workers {
            let starting = self.first.start(cx);
            Box::pin(async { Ok(Either::First(starting.await?)) })
        } else {
            let starting = self.others.start(cx);
            Box::pin(async { Ok(Either::Other(starting.await?)) })
        }
    }

    fn preferred(&self) -> usize {
        self.workers
    }
}

/// What a worker of a [`Hybrid`] has: the responder, or the service, of one of its two kinds.
#[derive(Debug)]
pub enum Either<A, B> {
    /// That of the first kind.
    First(A),
    /// That of the other kind.
    Other(B),
}

impl<A, B> Respond for Either<A, B>
where
    A: Respond,
    B: Respond<Contract = A::Contract>,
{
    type Contract = A::Contract;
    type Service = Either<A::Service, B::Service>;
    // The pool has one number of calls for all workers, so the stricter service decides.
    const EXCLUSIVE: bool = A::EXCLUSIVE || B::EXCLUSIVE;

    fn new(service: Self::Service) -> Self {
        match service {
            Either::First(service) => Self::First(A::new(service)),
            Either::Other(service) => Self::Other(B::new(service)),
        }
    }

    async fn respond(&self, call: Self::Contract, scope: &Scope) -> Ended {
        match self {
            Self::First(responder) => responder.respond(call, scope).await,
            Self::Other(responder) => responder.respond(call, scope).await,
        }
    }
}
