//! The ways in which calls come to a service within one process.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use insula_core::{Isolate, spawn_local};
use insula_link::{Connection, Origin, Remote, Settings, Target};
use insula_rpc::wire::{Hello, Loopback, MOST_BYTES, WireContract};
use insula_rpc::{Caller, Endpoint, Respond, Whole, serve};
use insula_sync::Mutex;

use crate::seam::{Host, Transport, at_once, end, pool_of};
use crate::stage::Stage;

/// [`serve`] in one isolate.
#[derive(Debug)]
pub(crate) enum OneIsolate {}

/// A pool.
#[derive(Debug)]
pub(crate) enum Workers<const WORKERS: usize, const AT_ONCE: usize> {}

pub(crate) type OneWorker = Workers<1, 1>;
pub(crate) type ThreeWorkers = Workers<3, 2>;

/// Another transport, to which calls come as bytes.
#[derive(Debug)]
pub(crate) struct Wired<T>(PhantomData<T>);

/// A pool whose worker passes its calls on to another transport, over a link.
#[derive(Debug)]
pub(crate) struct Linked<T>(PhantomData<T>);

pub(crate) type LinkedIsolate = Linked<OneIsolate>;

pub(crate) type WiredIsolate = Wired<OneIsolate>;
pub(crate) type WiredWorkers = Wired<ThreeWorkers>;

impl Transport for OneIsolate {
    fn places<R: Respond>() -> usize {
        1
    }

    async fn start<K, R>(service: R::Service, _stage: &Stage, bound: Option<usize>) -> (K, Host)
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync,
    {
        let builder = Isolate::builder().name("served");
        let builder = match bound {
            Some(bound) => builder.bounded(bound),
            None => builder,
        };
        let (isolate, port) = builder.spawn_pair(|port| serve(port, R::new(service)));
        let keep = port.clone();
        let end = async move || {
            drop(keep);
            // It ends by itself, since no caller is left.
            let reason = isolate.exited().await;
            assert_eq!(reason, insula_core::ExitReason::Finished);
        };
        (K::from(Arc::new(port)), Host::new(end))
    }
}

impl<const WORKERS: usize, const AT_ONCE: usize> Transport for Workers<WORKERS, AT_ONCE> {
    fn places<R: Respond>() -> usize {
        WORKERS * at_once::<R>(AT_ONCE)
    }

    async fn start<K, R>(service: R::Service, _stage: &Stage, bound: Option<usize>) -> (K, Host)
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync,
    {
        let builder = pool_of(WORKERS, at_once::<R>(AT_ONCE), bound);
        let factory = move |_cx| {
            let service = service.clone();
            async { Ok(service) }
        };
        let pool = builder.service::<R>(factory).build().await;
        let pool = pool.expect("the pool starts");
        let caller = pool.caller::<K, Whole>();
        (caller, Host::new(async move || end(pool).await))
    }
}

impl<T: Transport> Transport for Wired<T> {
    fn places<R: Respond>() -> usize {
        T::places::<R>()
    }

    async fn start<K, R>(service: R::Service, stage: &Stage, bound: Option<usize>) -> (K, Host)
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync,
    {
        let (wire, host) = T::start::<Loopback<K::Contract>, R>(service, stage, bound).await;
        (K::from(Arc::new(wire)), host)
    }
}

impl<T: Transport> Transport for Linked<T> {
    const IS_DISTANT: bool = true;

    fn places<R: Respond>() -> usize {
        T::places::<R>()
    }

    async fn start<K, R>(service: R::Service, stage: &Stage, bound: Option<usize>) -> (K, Host)
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync,
    {
        let (target, host) = T::start::<Shown<K::Contract>, R>(service, stage, None).await;
        let endpoint = target.0;
        let builder = pool_of(1, T::places::<R>(), bound).grace(Duration::from_secs(3600));
        let factory = move |_cx| {
            let endpoint = Arc::clone(&endpoint);
            async move { Ok(connect(endpoint)) }
        };
        let pool = builder
            .service::<Remote<K::Contract>>(factory)
            .build()
            .await
            .expect("the pool starts");
        let caller = pool.caller::<K, Whole>();
        let end = async move || {
            end(pool).await;
            host.end().await;
        };
        (caller, Host::new(end))
    }
}

/// A caller that shows its endpoint.
struct Shown<C>(Arc<dyn Endpoint<C>>);

impl<C> From<Arc<dyn Endpoint<C>>> for Shown<C> {
    fn from(endpoint: Arc<dyn Endpoint<C>>) -> Self {
        Self(endpoint)
    }
}

impl<C: WireContract> Caller for Shown<C> {
    type Contract = C;
}

/// Makes both ends of a link to an endpoint, and moves their frames in this isolate.
fn connect<C: WireContract>(endpoint: Arc<dyn Endpoint<C>>) -> Connection {
    let bell = Arc::new(Bell::default());
    let settings = Settings {
        hello: Hello::of::<C>(MOST_BYTES),
        limits: MOST_BYTES.into(),
    };
    let medium = Waker::from(Arc::clone(&bell));
    let origin = Arc::new(Origin::new(settings, medium.clone(), |_why| {}));
    let target = Target::new(endpoint, MOST_BYTES, medium, |_call| {});
    let carried = Arc::clone(&origin);
    spawn_local(poll_fn(move |cx| {
        *bell.0.lock() = Some(cx.waker().clone());
        loop {
            let (to, from) = (carried.outbox().take(), target.outbox().take());
            if to.is_none() && from.is_none() {
                return Poll::<()>::Pending;
            }
            if let Some(frame) = to
                && let Some(serving) = target.receive(frame).expect("it keeps to the protocol")
            {
                spawn_local(serving.run());
            }
            if let Some(frame) = from {
                carried.receive(frame).expect("it keeps to the protocol");
            }
        }
    }));
    Connection::new(origin, MOST_BYTES, ())
}

/// Wakes the task that moves frames.
#[derive(Default)]
struct Bell(Mutex<Option<Waker>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().take();
        waker.into_iter().for_each(Waker::wake);
    }
}
