//! Values that cannot be written or read: what the error says, and whether the handler has run.

use std::future::poll_fn;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream;
use insula_core::{Isolate, SendPort, block_on};
use insula_rpc::wire::{Lease, ToCallee, ToCaller};
use insula_rpc::{
    CallError, CallInfo, CancelledBy, Context, Contract, Endpoint, Outcome, Part, ProtocolError,
    Respond, Ticket, contract, serve, wire,
};
use serde::{Deserialize, Serialize};

use super::contract::{HuntCaller, Hunter, Set, TRAPS, Trap};

/// Asserts that a call failed on the wire. Returns the request if it has come back.
fn assert_fault<E: std::fmt::Debug, Q>(
    error: CallError<E, Q>,
    trap: Trap,
    (name, expected): (&str, Part),
    is: Outcome,
) -> Option<Q> {
    assert_eq!(error.outcome(), is, "{error:?}");
    let CallError::Protocol { why, request, .. } = error else {
        panic!("{error:?}")
    };
    let text = match (&*why, trap) {
        (ProtocolError::Unencodable { method, part, why }, Trap::Write | Trap::PanicInWrite) => {
            assert_eq!((method.as_str(), *part), (name, expected));
            why
        }
        (ProtocolError::Undecodable { method, part, why }, Trap::Read | Trap::PanicInRead) => {
            assert_eq!((method.as_str(), *part), (name, expected));
            why
        }
        (why, trap) => panic!("{why:?} of {trap:?}"),
    };
    let said = match trap {
        Trap::PanicInWrite | Trap::PanicInRead => "it panicked: a trap",
        Trap::Write => "its `Serialize` has failed",
        _ => "a trap",
    };
    assert!(text.starts_with(said), "{text}");
    request
}

fn hunt() -> (Hunter, HuntCaller) {
    let hunter = Hunter::default();
    let caller = hunter.serve(wire::MOST_BYTES);
    (hunter, caller)
}

#[test]
fn a_request_that_cannot_cross_was_not_started_and_comes_back() {
    let (hunter, caller) = hunt();
    for trap in TRAPS {
        let error = block_on(caller.take(7, trap)).expect_err("it cannot cross");
        let request = assert_fault(error, trap, ("take", Part::Request), Outcome::NotStarted);
        assert_eq!(request, Some((7, trap)));
        // At once, like any refusal.
        let error = caller.take(8, trap).try_start().expect_err("refused");
        assert_eq!(error.into_request(), Some((8, trap)));
    }
    assert!(hunter.notes().is_empty(), "nothing has run");
    assert_eq!(block_on(caller.take(9, Trap::None)).ok(), Some(9));
}

#[test]
fn an_answer_that_cannot_cross_was_executed() {
    let (_hunter, caller) = hunt();
    for trap in TRAPS {
        let error = block_on(caller.give(Set::new(trap))).expect_err("it cannot cross");
        assert_fault(error, trap, ("give", Part::Answer), Outcome::Executed);
        let error = block_on(caller.fail(Set::new(trap))).expect_err("it cannot cross");
        assert_fault(error, trap, ("fail", Part::Answer), Outcome::Executed);
    }
    let error = block_on(caller.fail(Set::new(Trap::None))).expect_err("it fails");
    assert_eq!(error.into_app(), Some(Trap::None), "as its own type");
}

#[test]
fn an_item_that_cannot_cross_ends_the_stream_after_those_before_it() {
    let (_hunter, caller) = hunt();
    for trap in TRAPS {
        block_on(async {
            let mut items = caller.stream(Set::new(trap)).await.expect("open");
            assert_eq!(items.next().await.and_then(Result::ok), Some(Trap::None));
            let error = items.next().await.expect("no end").expect_err("a fault");
            assert_fault(error, trap, ("stream", Part::Item), Outcome::MaybeExecuted);
            assert!(items.next().await.is_none(), "an error is the last thing");

            let mut items = caller.break_off(Set::new(trap)).await.expect("open");
            assert_eq!(items.next().await.and_then(Result::ok), Some(1));
            let error = items.next().await.expect("no end").expect_err("a fault");
            assert_fault(
                error,
                trap,
                ("break_off", Part::Answer),
                Outcome::MaybeExecuted,
            );
        });
    }
}

#[test]
fn an_item_of_the_caller_that_cannot_cross_ends_the_call_and_its_handler() {
    for trap in TRAPS {
        let (hunter, caller) = hunt();
        block_on(async {
            let (mut sender, call) = caller.absorb().open();
            assert!(sender.send(Trap::None).await.is_ok());
            // A call that is cancelled between its start and its handler has no handler.
            hunter.noted("absorb");
            // It may be found before or after it is sent.
            let _sent = sender.send(trap).await;
            let error = call.await.expect_err("a fault");
            assert_fault(
                error,
                trap,
                ("absorb", Part::SentItem),
                Outcome::MaybeExecuted,
            );
            assert!(sender.send(Trap::None).await.is_err(), "no more are read");
        });
        hunter.noted("absorb: call cancelled by its caller");
        let notes = hunter.notes();
        assert_eq!(
            notes.len(),
            3,
            "its items look aborted, not complete: {notes:?}"
        );

        block_on(async {
            let (mut sender, call) = caller.exchange().open();
            let mut items = call.await.expect("open");
            assert!(sender.send(Trap::None).await.is_ok());
            assert_eq!(items.next().await.and_then(Result::ok), Some(Trap::None));
            let _sent = sender.send(trap).await;
            let error = items.next().await.expect("no end").expect_err("a fault");
            assert_fault(
                error,
                trap,
                ("exchange", Part::SentItem),
                Outcome::MaybeExecuted,
            );
            assert!(items.next().await.is_none());
        });
    }
}

/// Asserts that a call failed because of its size.
fn assert_too_large<Q>(error: CallError<Trap, Q>, expected: Part, is: Outcome) -> Option<Q> {
    assert_eq!(error.outcome(), is, "{error:?}");
    match error {
        CallError::Protocol { why, request, .. } => {
            let ProtocolError::TooLarge { part, most, .. } = &*why else {
                panic!("{why:?}")
            };
            assert_eq!((*part, *most), (expected, 1000));
            request
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_has_so_many_bytes_and_no_more() {
    let caller = Hunter::default().serve(1000);
    // The head takes as much as it takes; find the largest request that fits.
    let fits = |bytes: usize| block_on(caller.mirror(vec![1; bytes])).is_ok();
    let largest = (900..1000).rev().find(|bytes| fits(*bytes));
    let largest = largest.expect("a request of 900 bytes fits");
    assert!((900..largest).all(fits), "all smaller ones fit too");
    let request = vec![1; largest + 1];
    let error = block_on(caller.mirror(request.clone())).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "a request of `mirror` has more than 1000 bytes"
    );
    let request_back = assert_too_large(error, Part::Request, Outcome::NotStarted);
    assert_eq!(request_back, Some(request));
}

#[test]
fn an_error_that_does_not_fit_keeps_its_outcome() {
    let caller = Hunter::default().serve(1000);
    let panic = caller.panic("x".repeat(900));
    let error = block_on(panic).expect_err("it panics");
    assert!(matches!(error, CallError::Panicked { .. }), "{error:?}");
    let caller = Hunter::default().serve(200);
    let error = block_on(caller.panic("x".repeat(150))).expect_err("it panics");
    // The text, and where it happened, is more than a message may have.
    assert_eq!(error.outcome(), Outcome::MaybeExecuted, "{error:?}");
}

#[test]
fn what_travels_along_counts_against_the_limit() {
    let caller = Hunter::default().serve(1000);
    let mut metadata = insula_rpc::Metadata::new();
    metadata.insert("text", "x".repeat(2000)).expect("fits");
    let call = caller.mirror(vec![1]).metadata(metadata);
    let request = assert_too_large(
        block_on(call).expect_err("too large"),
        Part::Head,
        Outcome::NotStarted,
    );
    assert_eq!(request, Some(vec![1]));
}

/// A value whose drop panics, once it has crossed.
#[derive(Debug, Serialize)]
struct Bomb {
    live: bool,
}

impl Bomb {
    fn new() -> Self {
        Self { live: false }
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Inert {
            #[expect(dead_code, reason = "only the form counts")]
            live: bool,
        }
        Inert::deserialize(deserializer).map(|_| Self { live: true })
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.live, "a bomb");
    }
}

/// A value that shows whether it was freed.
#[derive(Debug, Clone)]
struct Gem(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Serialize for Gem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Gem {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Self(Arc::default()))
    }
}

#[contract(name = "mines", version = 1, wire, crate = insula_rpc)]
trait Mines {
    async fn lay(&self, cx: &Context, bomb: Bomb, trap: Trap) -> Result<u8, Trap>;
    /// Gives gems.
    async fn dig(&self, cx: &Context) -> Result<impl Stream<Item = Result<Gem, Trap>>, Trap>;
}

#[derive(Default)]
struct Miner {
    gem: Arc<()>,
}

impl Mines for Miner {
    async fn lay(&self, _cx: &Context, mut bomb: Bomb, _trap: Trap) -> Result<u8, Trap> {
        bomb.live = false;
        Ok(1)
    }

    async fn dig(&self, _cx: &Context) -> Result<impl Stream<Item = Result<Gem, Trap>>, Trap> {
        Ok(stream::iter([Ok(Gem(Arc::clone(&self.gem)))]))
    }
}

fn mines() -> SendPort<MinesRequest> {
    Isolate::spawn_with_port(|port| serve(port, MinesResponder::new(Miner::default())))
}

#[test]
fn a_value_before_one_that_cannot_be_read_may_panic_in_its_drop() {
    let caller = MinesCaller::over(wire::loopback(mines()));
    for trap in [Trap::Read, Trap::PanicInRead] {
        let error = block_on(caller.lay(Bomb::new(), trap)).expect_err("it cannot cross");
        let CallError::Protocol { why, request, .. } = error else {
            panic!("{error:?}")
        };
        let ProtocolError::Undecodable { part, .. } = *why else {
            panic!("{why:?}")
        };
        assert_eq!(part, Part::Request);
        assert!(request.is_some_and(|(bomb, _)| !bomb.live), "as it was");
    }
    assert_eq!(block_on(caller.lay(Bomb::new(), Trap::None)).ok(), Some(1));
}

/// An endpoint that drops its calls.
#[derive(Debug)]
struct Lost;

impl Endpoint<MinesRequest> for Lost {
    fn submit(&self, call: MinesRequest, _info: CallInfo) -> Ticket {
        drop(call);
        Ticket::NONE
    }

    fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}
}

/// An endpoint that gives its calls to a wire, which the test has instead of it.
#[derive(Debug, Clone, Default)]
struct Tap(Arc<insula_sync::Mutex<Option<MinesRequest>>>);

impl Endpoint<MinesRequest> for Tap {
    fn submit(&self, call: MinesRequest, _info: CallInfo) -> Ticket {
        *self.0.lock() = Some(call);
        Ticket::NONE
    }

    fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}
}

#[test]
fn the_drop_of_a_request_that_was_not_started_harms_no_link() {
    let tap = Tap::default();
    let _call = MinesCaller::over(tap.clone())
        .lay(Bomb::new(), Trap::None)
        .start();
    let request = tap.0.lock().take().expect("it was submitted");
    let mut side = wire::forward(request, CallInfo::default(), wire::MOST_BYTES).expect("it waits");
    let message = side.take_message();
    let accept = || wire::accept::<MinesRequest>(&message, wire::MOST_BYTES).expect("a call");

    let mut accepted = accept();
    accepted.submit(Arc::new(Lost), Lease::new(|_worker| Ok(())));
    let told = block_on(poll_fn(|cx| accepted.poll_message(cx)));
    assert!(matches!(told, Some(ToCaller::Answer(..))), "{told:?}");
    let end = block_on(poll_fn(|cx| accepted.poll_message(cx)));
    assert!(end.is_none(), "{end:?}");

    // The origin has ended these itself, and so is told nothing.
    let leases = [
        Lease::new(|_worker| Err(CancelledBy::Caller)),
        Lease::new(|_worker| panic!("a lease")),
    ];
    let port = mines();
    for lease in leases {
        let mut accepted = accept();
        accepted.submit(Arc::new(port.clone()), lease);
        // Behind it in the queue, so that the isolate has seen both.
        let caller = MinesCaller::over(port.clone());
        assert_eq!(block_on(caller.lay(Bomb::new(), Trap::None)).ok(), Some(1));
        accepted.receive(ToCallee::Cancel(CancelledBy::Caller));
        let end = block_on(poll_fn(|cx| accepted.poll_message(cx)));
        assert!(end.is_none(), "{end:?}");
    }
}

/// The unread stream has the cell, and the cell has the stream.
#[test]
fn a_stream_that_has_ended_and_was_never_read_is_freed_with_its_call() {
    let gem = Arc::new(());
    let service = Miner {
        gem: Arc::clone(&gem),
    };
    let port = Isolate::spawn_with_port(|port| serve(port, MinesResponder::new(service)));
    let digs = MinesRequest::METHODS
        .iter()
        .find(|method| method.name == "dig");
    let id = digs.expect("a method").id;
    for by in [CancelledBy::Caller, CancelledBy::Deadline] {
        let accepted = wire::accept_method::<MinesRequest>(id, &[], wire::MOST_BYTES);
        let mut accepted = accepted.expect("a call");
        accepted.submit(Arc::new(port.clone()), Lease::new(|_worker| Ok(())));
        // Behind it in the queue, so that the stream has ended.
        let caller = MinesCaller::over(port.clone());
        assert_eq!(block_on(caller.lay(Bomb::new(), Trap::None)).ok(), Some(1));
        assert_eq!(
            Arc::strong_count(&gem),
            3,
            "here, in the service, in the stream"
        );
        accepted.receive(ToCallee::Cancel(by));
        drop(accepted);
        assert_eq!(Arc::strong_count(&gem), 2);
    }
}
