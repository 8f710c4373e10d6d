//! The contracts of hostile programs, their service, and the values that calls move.

use std::sync::Arc;

use futures_core::Stream;
use insula_rpc::{Context, Inbound, Payload, WINDOW_BYTES, contract};
use insula_sync::atomic::{AtomicBool, Ordering};

use super::handler;
use crate::oracle::{Books, Told};
use crate::program::{Cargo, Kind, Order, Script, Weight};
use crate::run::world::{At, Guard, Parcel};

/// A value that moves in a call: its destructor and its measure run scripts.
pub(crate) struct Goods {
    pub(crate) parcel: Parcel,
    weight: Weight,
    /// The call that it belongs to.
    pub(crate) call: usize,
}

impl Goods {
    pub(crate) fn new(cargo: &Cargo, call: usize, at: &At) -> Self {
        Self {
            parcel: at.parcel(&cargo.load.0),
            weight: cargo.weight.clone(),
            call,
        }
    }

    /// Records that it has arrived at the end of its way.
    pub(crate) fn arrives(self, call: usize) {
        let ledger = &self.parcel.at.world.ledger;
        self.parcel.handled();
        if self.call != call {
            ledger.fault(format!("call {call} got a value of call {}", self.call));
        }
    }
}

impl Payload for Goods {
    fn size_hint(&self) -> u64 {
        match &self.weight {
            Weight::Light() => 8,
            // Two of them are more than a window holds.
            Weight::Heavy() => WINDOW_BYTES / 2 + 1,
            // For sums of sizes, which must not overflow.
            Weight::Endless() => u64::MAX,
            Weight::Asks(script) => {
                crate::run::run(&script.0, &self.parcel.at);
                8
            }
        }
    }
}

/// A request, with the script of its handler.
pub(crate) struct Request {
    pub(crate) goods: Goods,
    pub(crate) handler: Script,
    pub(crate) answer: Cargo,
    pub(crate) books: Arc<Books>,
}

impl Request {
    pub(crate) fn new(order: &Order, call: usize, at: &At, books: &Arc<Books>) -> Self {
        Self {
            goods: Goods::new(&order.request, call, at),
            handler: order.handler.0.clone(),
            answer: order.answer.clone(),
            books: Arc::clone(books),
        }
    }
}

impl Payload for Request {
    fn size_hint(&self) -> u64 {
        self.goods.size_hint()
    }
}

/// The service behind both contracts.
pub(crate) struct Clerk {
    /// The place of its scripts.
    pub(crate) at: At,
    /// `true` if a panic of one handler must be the last thing that happens to it.
    is_replaced: bool,
    /// A handler has panicked.
    is_suspect: AtomicBool,
    _at_end: Guard,
}

impl Clerk {
    pub(crate) fn new(at: &At, at_end: &Script, is_replaced: bool) -> Self {
        Self {
            at: at.clone(),
            is_replaced,
            is_suspect: AtomicBool::new(false),
            _at_end: Guard(at.hook(at_end)),
        }
    }

    /// Records that the handler of a call begins, and its end.
    pub(crate) fn begin(&self, request: &Request) -> Serving<'_> {
        let (call, ledger) = (request.goods.call, &self.at.world.ledger);
        ledger.handler_begins(call, self.at.world.has_clock_here());
        request.books.count(Told::Begun);
        request.goods.parcel.handled();
        // Relaxed: the handlers of one service are tasks of one isolate, which run one after the
        // other.
        if self.is_replaced && self.is_suspect.load(Ordering::Relaxed) {
            ledger.fault(format!("call {call} began on a state that had panicked"));
        }
        Serving { clerk: self, call }
    }
}

/// A handler that has begun, until its future is dropped.
pub(crate) struct Serving<'a> {
    clerk: &'a Clerk,
    call: usize,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        // On a seeded runtime, a thread that unwinds may drive isolates from a destructor.
        let is_seeded = self.clerk.at.world.program.kind == Kind::Seeded;
        if std::thread::panicking() && !is_seeded {
            self.clerk.is_suspect.store(true, Ordering::Relaxed);
        }
        self.clerk.at.world.ledger.handler_ends(self.call);
    }
}

/// A contract with a call of each kind, and its service.
macro_rules! contract {
    ($(#[$about:meta])* $Contract:ident, $me:ident, $($receiver:tt)*) => {
        $(#[$about])*
        #[contract(crate = insula_rpc)]
        pub(crate) trait $Contract {
            async fn unary($($receiver)*, cx: &Context, request: Request) -> Result<Goods, Goods>;

            async fn download(
                $($receiver)*,
                cx: &Context,
                request: Request,
            ) -> Result<impl Stream<Item = Result<Goods, Goods>>, Goods>;

            async fn upload(
                $($receiver)*,
                cx: &Context,
                request: Request,
                items: Inbound<Goods>,
            ) -> Result<Goods, Goods>;

            async fn exchange(
                $($receiver)*,
                cx: &Context,
                request: Request,
                items: Inbound<Goods>,
            ) -> Result<impl Stream<Item = Result<Goods, Goods>>, Goods>;
        }

        impl $Contract for Clerk {
            async fn unary($($receiver)*, cx: &Context, request: Request) -> Result<Goods, Goods> {
                handler::value($me, cx, request, None).await
            }

            async fn download(
                $($receiver)*,
                cx: &Context,
                request: Request,
            ) -> Result<impl Stream<Item = Result<Goods, Goods>>, Goods> {
                handler::stream($me, cx, request, None).await
            }

            async fn upload(
                $($receiver)*,
                cx: &Context,
                request: Request,
                items: Inbound<Goods>,
            ) -> Result<Goods, Goods> {
                handler::value($me, cx, request, Some(items)).await
            }

            async fn exchange(
                $($receiver)*,
                cx: &Context,
                request: Request,
                items: Inbound<Goods>,
            ) -> Result<impl Stream<Item = Result<Goods, Goods>>, Goods> {
                handler::stream($me, cx, request, Some(items)).await
            }
        }
    };
}

contract! {
    /// Calls that share their service.
    Shared, self, &self
}

contract! {
    /// Calls that have their service for themselves.
    Alone, self, &mut self
}
