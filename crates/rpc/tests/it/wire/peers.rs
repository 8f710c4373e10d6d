//! The other side of a wire is of another version, or sends what it must not.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use insula_core::{Instant, block_on};
use insula_rpc::wire::{Accepted, Forwarded, Lease, ToCallee, ToCaller, WireContract};
use insula_rpc::{
    Call, CallError, CallInfo, CancelledBy, Contract, Endpoint, Outcome, ProtocolError, Ticket,
    WorkerId, wire,
};
use insula_sync::Mutex;

use super::contract::{HuntCaller, HuntMirrorMethod, HuntRequest, Hunter, Set, Trap};
use crate::desk::poll;

const MOST: usize = wire::MOST_BYTES;

/// An endpoint that keeps its calls.
#[derive(Debug)]
struct Kept<C>(Arc<Mutex<Vec<C>>>);

impl<C> Kept<C> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn take(&self) -> C {
        self.0.lock().remove(0)
    }
}

impl<C> Clone for Kept<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Contract> Endpoint<C> for Kept<C> {
    fn submit(&self, call: C, _info: CallInfo) -> Ticket {
        self.0.lock().push(call);
        Ticket::NONE
    }

    fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}
}

fn kept() -> (Kept<HuntRequest>, HuntCaller) {
    let kept = Kept::new();
    (kept.clone(), HuntCaller::over(kept))
}

/// A call that was sent, and its side of a wire.
fn forwarded() -> (Call<HuntMirrorMethod>, Forwarded) {
    let (kept, caller) = kept();
    let call = caller.mirror(vec![1, 2]).start();
    let side = wire::forward(kept.take(), CallInfo::default(), MOST);
    (call, side.expect("it waits"))
}

fn next<T>(polled: impl FnOnce(&mut Context<'_>) -> Poll<Option<T>>) -> Poll<Option<T>> {
    polled(&mut Context::from_waker(Waker::noop()))
}

/// Other versions of the contract.
mod others {
    use insula_rpc::{Context, contract};

    pub(crate) mod newer {
        use super::*;

        // It is called and not served.
        const _: usize = size_of::<HuntResponder<()>>();

        #[contract(name = "hunt", version = 4, wire, crate = insula_rpc)]
        pub(crate) trait Hunt {
            async fn mirror(&self, cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, ()>;
        }
    }

    pub(crate) mod smaller {
        use super::*;

        // It is called and not served.
        const _: usize = size_of::<HuntResponder<()>>();

        #[contract(name = "hunt", version = 3, wire, crate = insula_rpc)]
        pub(crate) trait Hunt {
            async fn other(&self, cx: &Context) -> Result<(), ()>;
        }
    }

    pub(crate) mod elsewhere {
        use super::*;

        // It is called and not served.
        const _: usize = size_of::<HuntResponder<()>>();

        #[contract(name = "fish", version = 3, wire, crate = insula_rpc)]
        pub(crate) trait Hunt {
            async fn mirror(&self, cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, ()>;
        }
    }

    pub(crate) mod changed {
        use super::*;

        // It is called and not served.
        const _: usize = size_of::<HuntResponder<()>>();

        #[contract(name = "hunt", version = 3, wire, crate = insula_rpc)]
        pub(crate) trait Hunt {
            async fn mirror(&self, cx: &Context, bytes: Vec<u8>, more: u64) -> Result<(), ()>;
        }
    }
}

/// Brings a call to another contract. Returns the error that its caller gets.
fn refused_by<C: WireContract>() -> CallError<Trap, Vec<u8>> {
    let (mut call, mut side) = forwarded();
    let why = wire::accept::<C>(&side.take_message(), MOST).expect_err("is refused");
    side.receive(ToCaller::Refuse(why));
    assert!(matches!(
        next(|cx| side.poll_message(cx)),
        Poll::Ready(None)
    ));
    match poll(&mut call) {
        Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_of_another_version_or_contract_is_refused_by_name() {
    for (error, expected, text) in [
        (
            refused_by::<others::newer::HuntRequest>(),
            ProtocolError::WrongVersion {
                contract: "hunt".to_owned(),
                expected: 4,
                found: 3,
            },
            "version 3 of the contract `hunt` was called, and version 4 is served",
        ),
        (
            refused_by::<others::elsewhere::HuntRequest>(),
            ProtocolError::WrongContract {
                expected: "fish".to_owned(),
                found: "hunt".to_owned(),
            },
            "a call of the contract `hunt` came to `fish`",
        ),
        (
            refused_by::<others::smaller::HuntRequest>(),
            ProtocolError::UnknownMethod {
                contract: "hunt".to_owned(),
                id: mirror_id(),
            },
            "the contract `hunt` that is served has no method with the id 0x35f71de13238ab42",
        ),
    ] {
        assert_eq!(error.outcome(), Outcome::NotStarted);
        assert_eq!(error.to_string(), text);
        let CallError::Protocol { why, request, .. } = error else {
            panic!("another error")
        };
        assert_eq!((*why, request), (expected, Some(vec![1, 2])));
    }
    let error = refused_by::<others::changed::HuntRequest>();
    let text = "a request of `mirror` cannot be decoded: the bytes end within a value";
    assert!(error.to_string().starts_with(text), "{error}");
    assert_eq!(error.into_request(), Some(vec![1, 2]));
}

fn mirror_id() -> u64 {
    let mut methods = HuntRequest::METHODS.iter();
    methods
        .find(|it| it.name == "mirror")
        .expect("is a method")
        .id
}

#[test]
fn a_method_is_accepted_by_its_id_and_its_request() {
    let request = wire::encode(&vec![1_u8, 2]).expect("can be encoded");
    assert!(wire::accept_method::<HuntRequest>(mirror_id(), &request, MOST).is_ok());
    let unknown = wire::accept_method::<HuntRequest>(1, &request, MOST);
    assert!(matches!(
        unknown.map_err(|why| *why),
        Err(ProtocolError::UnknownMethod { id: 1, .. })
    ));
    let longer = [&*request, &[0]].concat();
    let why = wire::accept_method::<HuntRequest>(mirror_id(), &longer, MOST).expect_err("longer");
    assert_eq!(
        why.to_string(),
        "a request of `mirror` cannot be decoded: 1 bytes follow the last value"
    );
    let limited = wire::accept_method::<HuntRequest>(mirror_id(), &request, 2);
    assert!(matches!(
        limited.map_err(|why| *why),
        Err(ProtocolError::TooLarge { most: 2, .. })
    ));
}

/// SplitMix64, by Sebastiano Vigna (2015).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.roll() % most;
        (0..length).map(|_| (self.roll() % 7) as u8).collect()
    }
}

#[test]
fn a_first_message_of_garbage_is_refused() {
    let mut dice = Dice(3);
    let (_call, mut side) = forwarded();
    let message = side.take_message();
    assert!(wire::accept::<HuntRequest>(&message, MOST).is_ok());
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut bytes = message.bytes.clone();
        for _ in 0..=dice.roll() % 3 {
            let at = dice.roll() as usize % bytes.len();
            bytes[at] = dice.roll() as u8;
        }
        accepted += u32::from(wire::accept::<HuntRequest>(&bytes.into(), MOST).is_ok());
        let cut = dice.roll() as usize % message.bytes.len();
        assert!(wire::accept::<HuntRequest>(&message.bytes[..cut].to_vec().into(), MOST).is_err());
        assert!(wire::accept::<HuntRequest>(&dice.bytes(60).into(), MOST).is_err());
    }
    // What lies in the values themselves, or in what travels along, cannot be told from what was
    // meant.
    assert!(accepted < 10_000, "{accepted} of 20000 were accepted");
}

/// A message that the callee's side never sends in this order.
fn unknown_method() -> ProtocolError {
    ProtocolError::UnknownMethod {
        contract: "hunt".to_owned(),
        id: 1,
    }
}

fn any_to_caller(dice: &mut Dice) -> ToCaller {
    match dice.roll() % 9 {
        0 => ToCaller::Progress(insula_rpc::Progress::new(1)),
        1 => ToCaller::Credit(dice.roll()),
        2 => ToCaller::Closed,
        3 => ToCaller::Item(dice.bytes(9).into()),
        4 => ToCaller::End(dice.bytes(9).into()),
        5 => ToCaller::Answer(dice.bytes(9).into(), None),
        6 => ToCaller::Answer(vec![0, 2, 1, 2].into(), None),
        7 => ToCaller::Refuse(Box::new(unknown_method())),
        _ => ToCaller::Answer(vec![0].into(), None),
    }
}

fn any_to_callee(dice: &mut Dice) -> ToCallee {
    match dice.roll() % 6 {
        0 => ToCallee::Item(dice.bytes(9).into()),
        1 => ToCallee::End(Ok(())),
        2 => ToCallee::End(Err("reason".to_owned())),
        3 => ToCallee::Credit(dice.roll()),
        4 => ToCallee::Stop(CancelledBy::Shutdown),
        _ => ToCallee::Cancel(CancelledBy::Caller),
    }
}

#[test]
fn a_call_that_is_refused_after_its_start_ends_too() {
    let (mut call, mut side) = forwarded();
    assert_eq!(side.lease().start(WorkerId::new(0)), Ok(()));
    side.receive(ToCaller::Refuse(Box::new(unknown_method())));
    let Poll::Ready(Err(error)) = poll(&mut call) else {
        panic!("it has no end")
    };
    assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    let farewell = next(|cx| side.poll_message(cx));
    assert!(
        matches!(farewell, Poll::Ready(Some(ToCallee::Cancel(_)))),
        "{farewell:?}"
    );
}

#[test]
fn a_caller_gets_an_end_whatever_the_other_side_sends() {
    let mut dice = Dice(4);
    for _ in 0..3_000 {
        let (kept, caller) = kept();
        let mut unary = caller.mirror(vec![1]).start();
        let mut stream = caller.stream(Set::new(Trap::None)).start();
        let (mut sender, mut sent) = caller.absorb().open();
        let (_both_sender, mut both) = caller.exchange().open();
        let mut sides: Vec<Forwarded> = (0..4)
            .filter_map(|_| wire::forward(kept.take(), CallInfo::default(), MOST))
            .collect();
        let _sent = sender.try_send(Trap::None);
        for side in &mut sides {
            for _ in 0..dice.roll() % 6 {
                if dice.roll().is_multiple_of(3) {
                    let _started = side.lease().start(WorkerId::new(0));
                }
                side.receive(any_to_caller(&mut dice));
                let _next = next(|cx| side.poll_message(cx));
            }
        }
        drop(sides);
        assert!(poll(&mut unary).is_ready());
        assert!(poll(&mut sent).is_ready());
        macro_rules! assert_ends {
            ($call:ident) => {
                match poll(&mut $call) {
                    Poll::Ready(Ok(mut items)) => {
                        block_on(async { while let Some(Ok(_)) = items.next().await {} });
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => panic!("it waits for a side that has gone"),
                }
            };
        }
        assert_ends!(stream);
        assert_ends!(both);
        assert!(sender.try_send(Trap::None).is_err(), "no more are read");
    }
}

#[test]
fn a_callee_comes_to_an_end_whatever_the_other_side_sends() {
    let mut dice = Dice(5);
    let endpoint: Arc<dyn Endpoint<HuntRequest>> = Arc::new(Hunter::default().port());
    for _ in 0..3_000 {
        let methods = HuntRequest::METHODS;
        let method = methods[dice.roll() as usize % methods.len()].id;
        let request = dice.bytes(6);
        let Ok(mut side) = wire::accept_method::<HuntRequest>(method, &request, MOST) else {
            continue;
        };
        side.submit(Arc::clone(&endpoint), Lease::new(|_| Ok(())));
        for _ in 0..dice.roll() % 6 {
            side.receive(any_to_callee(&mut dice));
            let _next = next(|cx| side.poll_message(cx));
        }
    }
    // The service has ended what it was given, or it would not come to this.
    let caller = HuntCaller::from(endpoint);
    assert_eq!(block_on(caller.mirror(vec![9])).ok(), Some(vec![9]));
}

#[test]
fn a_side_that_is_dropped_ends_its_call() {
    let (mut call, side) = forwarded();
    drop(side);
    let Poll::Ready(Err(error)) = poll(&mut call) else {
        panic!("it goes on")
    };
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(error.into_request(), Some(vec![1, 2]));

    let (mut call, side) = forwarded();
    assert_eq!(side.lease().start(WorkerId::new(3)), Ok(()));
    drop(side);
    match poll(&mut call) {
        Poll::Ready(Err(CallError::WorkerDied {
            worker: Some(worker),
            outcome: Outcome::MaybeExecuted,
            ..
        })) => assert_eq!(worker.index(), 3),
        other => panic!("{other:?}"),
    }

    // On the other side its handler is cancelled.
    let hunter = Hunter::default();
    let (kept, caller) = kept();
    let _call = caller.wait().start();
    let mut side = wire::forward(kept.take(), CallInfo::default(), MOST).expect("it waits");
    let accepted = wire::accept::<HuntRequest>(&side.take_message(), MOST);
    let mut accepted: Accepted<HuntRequest> = accepted.expect("is accepted");
    accepted.submit(Arc::new(hunter.port()), side.lease());
    hunter.noted("waiting");
    drop(accepted);
    hunter.noted("call cancelled by its caller");
}

/// The cell tells its watchers once that the handler is to stop, and the end of the reader comes
/// after that.
#[test]
fn the_reader_of_a_call_that_was_asked_to_stop_is_still_seen_to_go() {
    let (kept, caller) = kept();
    let call = caller.stream(Set::new(Trap::None)).start();
    let mut side = wire::forward(kept.take(), CallInfo::default(), MOST).expect("it waits");
    assert_eq!(side.lease().start(WorkerId::new(0)), Ok(()));
    let mut receipt = call.cancel_and_wait();
    assert!(poll(&mut receipt).is_pending());
    let told = next(|cx| side.poll_message(cx));
    assert!(matches!(
        told,
        Poll::Ready(Some(ToCallee::Stop(CancelledBy::Caller)))
    ));
    side.receive(ToCaller::Answer(vec![0].into(), None));
    let Poll::Ready(insula_rpc::Receipt::Ended(Ok(items))) = poll(&mut receipt) else {
        panic!("the stream was opened in time")
    };
    assert!(next(|cx| side.poll_message(cx)).is_pending());
    drop(items);
    let told = next(|cx| side.poll_message(cx));
    assert!(matches!(
        told,
        Poll::Ready(Some(ToCallee::Cancel(CancelledBy::Caller)))
    ));
    assert!(matches!(
        next(|cx| side.poll_message(cx)),
        Poll::Ready(None)
    ));
}

/// Each side keeps a window of items and no more, whatever the other side sends.
#[test]
fn a_side_that_sends_more_than_a_window_ends_the_call() {
    let window = insula_rpc::WINDOW;
    let (kept, caller) = kept();
    let mut call = caller.stream(Set::new(Trap::None)).start();
    let mut side = wire::forward(kept.take(), CallInfo::default(), MOST).expect("it waits");
    side.receive(ToCaller::Answer(vec![0].into(), None));
    let Poll::Ready(Ok(mut items)) = poll(&mut call) else {
        panic!("the stream is open")
    };
    (0..=window).for_each(|_| side.receive(ToCaller::Item(vec![0].into())));
    block_on(async {
        for _ in 0..window {
            assert_eq!(items.next().await.and_then(Result::ok), Some(Trap::None));
        }
        let error = items.next().await.expect("no end").expect_err("too many");
        let text = "an item of an answer of `stream` cannot be decoded: the stream has more than 32 \
                    items on their way";
        assert_eq!(error.to_string(), text);
    });

    let (kept, caller) = self::kept();
    let absorb = HuntRequest::METHODS.iter().find(|it| it.name == "absorb");
    let id = absorb.expect("is a method").id;
    let mut side = wire::accept_method::<HuntRequest>(id, &[], MOST).expect("is accepted");
    side.submit(Arc::new(kept.clone()), Lease::new(|_| Ok(())));
    (0..=window).for_each(|_| side.receive(ToCallee::Item(vec![0].into())));
    let told = next(|cx| side.poll_message(cx));
    assert!(
        matches!(told, Poll::Ready(Some(ToCaller::Answer(..)))),
        "{told:?}"
    );
    let call = kept.take();
    assert!(
        !insula_rpc::Calls::pending(&call).is_waiting(),
        "it has ended"
    );
    drop(caller);
}

#[test]
fn a_lease_is_granted_once_and_not_after_the_end() {
    let (call, side) = forwarded();
    let lease = side.lease();
    assert_eq!(lease.start(WorkerId::new(0)), Ok(()));
    assert!(lease.start(WorkerId::new(0)).is_err(), "it has started");
    drop(call);
    let (call, side) = forwarded();
    drop(call);
    assert_eq!(
        side.lease().start(WorkerId::new(0)),
        Err(CancelledBy::Caller)
    );

    let (kept, caller) = kept();
    let _call = caller
        .mirror(vec![1])
        .deadline(std::time::Duration::ZERO)
        .start();
    let start = Instant::now();
    let side = wire::forward(kept.take(), CallInfo::default(), MOST).expect("it waits");
    assert!(start <= Instant::now());
    assert_eq!(
        side.lease().start(WorkerId::new(0)),
        Err(CancelledBy::Deadline)
    );
}

#[test]
fn a_call_that_has_ended_is_not_forwarded() {
    let (kept, caller) = kept();
    drop(caller.mirror(vec![1]).start());
    assert!(wire::forward(kept.take(), CallInfo::default(), MOST).is_none());
}

#[test]
fn metadata_that_is_not_valid_is_not_read() {
    use insula_rpc::{Metadata, TraceContext};
    let mut metadata = Metadata::new();
    metadata.insert("a", "text").expect("valid");
    metadata.insert_bytes("b-bin", [1, 2]).expect("valid");
    let bytes = wire::encode(&metadata).expect("can be encoded");
    assert_eq!(wire::decode(&bytes), Ok(metadata));
    // A key that is reserved, and one in upper case.
    for key in ["insula-x", "A"] {
        let forged = wire::encode(&vec![(key, 0_u8, "text")]).expect("can be encoded");
        assert!(wire::decode::<Metadata>(&forged).is_err(), "{key}");
    }
    let many: Vec<_> = (0..200).map(|n| (n.to_string(), 0_u8, "")).collect();
    let many = wire::encode(&many).expect("can be encoded");
    assert!(wire::decode::<Metadata>(&many).is_err(), "too many entries");
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace: TraceContext = text.parse().expect("a trace");
    let bytes = wire::encode(&trace).expect("can be encoded");
    assert_eq!(wire::decode(&bytes), Ok(trace));
    assert!(wire::decode::<TraceContext>(&wire::encode("00-1").expect("text")).is_err());
}
