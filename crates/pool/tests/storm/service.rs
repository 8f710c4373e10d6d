//! The handlers, which do what their requests say.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use insula_core::{Isolate, sleep, yield_now};
use insula_rpc::{CancelToken, Context, Inbound, Payload, contract};

use crate::ledger::Ledger;

/// What names a call to the ledger.
pub(crate) type Id = usize;

#[contract(crate = insula_rpc)]
pub(crate) trait Storm {
    async fn run(&self, cx: &Context, ask: Ask) -> Result<Thing, Oops>;
    /// So many items, each after a deed.
    async fn produce(
        &self,
        cx: &Context,
        ask: Ask,
        deeds: Vec<Deed>,
    ) -> Result<impl Stream<Item = Result<Thing, Oops>>, Oops>;
    /// Reads so many items, and then does more.
    async fn absorb(
        &self,
        cx: &Context,
        ask: Ask,
        read: u64,
        after: Vec<Deed>,
        items: Inbound<Thing>,
    ) -> Result<Thing, Oops>;
    /// Gives items back, each after a deed.
    async fn exchange(
        &self,
        cx: &Context,
        ask: Ask,
        deeds: Vec<Deed>,
        items: Inbound<Thing>,
    ) -> Result<impl Stream<Item = Result<Thing, Oops>>, Oops>;
}

/// The part that all requests have.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) id: Id,
    pub(crate) deeds: Vec<Deed>,
    /// The client and the key of a call that is pinned, and its number among those.
    pub(crate) pin: Option<(u64, u64, u64)>,
    pub(crate) thing: Thing,
}

/// One thing that a handler does.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Nothing,
    Yield(u64),
    Sleep(Duration),
    Checkpoint,
    /// Computes for so long, without a look at anything.
    Compute(Duration),
    UntilCancelled,
    /// Ignores that it is cancelled.
    Hang,
    /// Waits beside its handler.
    Spawn(Duration),
    /// Calls the same pool and waits at most so long.
    Nested(Box<Deed>, Duration),
    /// The same, and blocks its thread.
    Blocking(Duration),
    Trail,
    Progress,
    Fail,
    Panic,
    /// Ends its isolate at once.
    Exit,
    /// Kills its isolate, which ends with the next look.
    Kill,
}

/// What moves with calls. It says when it is gone, so that nothing is kept.
#[derive(Debug, Clone)]
pub(crate) struct Thing {
    pub(crate) number: u64,
    pub(crate) weight: u64,
    pub(crate) _witness: Arc<()>,
}

impl Payload for Ask {
    fn size_hint(&self) -> u64 {
        self.thing.weight
    }
}

impl Payload for Thing {
    fn size_hint(&self) -> u64 {
        self.weight
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oops;

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("oops")
    }
}

impl std::error::Error for Oops {}

/// The state of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) ledger: Ledger,
}

/// A handler that runs. Its drop is its end.
#[derive(Debug)]
struct Handler {
    ledger: Ledger,
    token: CancelToken,
    ask: Ask,
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.ledger.stopped();
    }
}

impl Handler {
    fn new(service: &Service, cx: &Context, ask: Ask) -> Self {
        service.ledger.started(&ask);
        let (ledger, token) = (service.ledger.clone(), cx.token());
        Self { ledger, token, ask }
    }

    fn thing(&self, number: u64) -> Thing {
        let thing = self.ask.thing.clone();
        Thing { number, ..thing }
    }

    /// The deeds before the answer, which may use the context.
    async fn begin(&mut self, cx: &Context) -> Result<(), Oops> {
        for deed in std::mem::take(&mut self.ask.deeds) {
            match deed {
                Deed::Checkpoint => cx.checkpoint().await.map_err(|_| Oops)?,
                Deed::Spawn(time) => cx.spawn(sleep(time)),
                Deed::Trail => {
                    let mut metadata = insula_rpc::Metadata::new();
                    metadata.insert("a", "b").map_err(|_| Oops)?;
                    cx.set_trailing(metadata);
                }
                Deed::Progress => cx.progress(insula_rpc::Progress::new(1)),
                Deed::Nested(deed, time) => {
                    let (id, call) = self.ledger.nested(cx, *deed, time);
                    self.ledger.judge_nested(id, &call.await);
                }
                Deed::Blocking(time) => {
                    let (id, call) = self.ledger.nested(cx, Deed::Nothing, time);
                    self.ledger.judge_nested(id, &call.blocking());
                }
                other => self.act(other).await?,
            }
        }
        Ok(())
    }

    async fn act(&self, deed: Deed) -> Result<(), Oops> {
        match deed {
            Deed::Yield(times) => {
                for _ in 0..times {
                    yield_now().await;
                }
            }
            Deed::Sleep(time) => sleep(time).await,
            Deed::Compute(time) => std::thread::sleep(time),
            Deed::UntilCancelled => {
                self.token.cancelled().await;
            }
            Deed::Hang => std::future::pending().await,
            Deed::Fail => return Err(Oops),
            Deed::Panic => panic!("a deed"),
            Deed::Exit => Isolate::exit_silently(),
            Deed::Kill => {
                if let Some(isolate) = Isolate::current() {
                    isolate.kill();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads an item, which has to be the next one.
    async fn read(&self, items: &mut Inbound<Thing>, expected: u64) -> Option<Thing> {
        match items.next().await? {
            Ok(thing) if thing.number == expected => Some(thing),
            Ok(thing) => {
                let number = thing.number;
                self.ledger
                    .wrong(format!("read item {number} in place of {expected}"));
                None
            }
            Err(_aborted) => None,
        }
    }
}

impl Storm for Service {
    async fn run(&self, cx: &Context, ask: Ask) -> Result<Thing, Oops> {
        let mut handler = Handler::new(self, cx, ask);
        handler.begin(cx).await?;
        Ok(handler.thing(handler.ask.id as u64))
    }

    async fn produce(
        &self,
        cx: &Context,
        ask: Ask,
        deeds: Vec<Deed>,
    ) -> Result<impl Stream<Item = Result<Thing, Oops>>, Oops> {
        let mut handler = Handler::new(self, cx, ask);
        handler.begin(cx).await?;
        let deeds = deeds.into_iter().zip(0..);
        Ok(stream::unfold(
            (handler, deeds),
            |(handler, mut deeds)| async {
                let (deed, number) = deeds.next()?;
                let item = handler.act(deed).await.map(|()| handler.thing(number));
                Some((item, (handler, deeds)))
            },
        ))
    }

    async fn absorb(
        &self,
        cx: &Context,
        ask: Ask,
        read: u64,
        after: Vec<Deed>,
        mut items: Inbound<Thing>,
    ) -> Result<Thing, Oops> {
        let mut handler = Handler::new(self, cx, ask);
        handler.begin(cx).await?;
        let mut seen = 0;
        while seen < read && handler.read(&mut items, seen).await.is_some() {
            seen += 1;
        }
        for deed in after {
            handler.act(deed).await?;
        }
        Ok(handler.thing(seen))
    }

    async fn exchange(
        &self,
        cx: &Context,
        ask: Ask,
        deeds: Vec<Deed>,
        items: Inbound<Thing>,
    ) -> Result<impl Stream<Item = Result<Thing, Oops>>, Oops> {
        let mut handler = Handler::new(self, cx, ask);
        handler.begin(cx).await?;
        let deeds = deeds.into_iter().zip(0..);
        Ok(stream::unfold(
            (handler, deeds, items),
            |(handler, mut deeds, mut items)| async {
                let (deed, number) = deeds.next()?;
                let item = match handler.act(deed).await {
                    Ok(()) => Ok(handler.read(&mut items, number).await?),
                    Err(oops) => Err(oops),
                };
                Some((item, (handler, deeds, items)))
            },
        ))
    }
}
