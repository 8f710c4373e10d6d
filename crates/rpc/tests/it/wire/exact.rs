//! Outcomes are exact, and nothing is left of a call that has ended.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use insula_core::{Isolate, block_on};
use insula_rpc::wire::Loopback;
use insula_rpc::{
    CallError, CallInfo, CancelledBy, Context, Endpoint, Outcome, Respond, Ticket, contract, serve,
    wire,
};
use insula_sync::Mutex;

use super::contract::{HuntCaller, HuntRequest, Hunter, Set, Trap};
use crate::desk::poll;

#[contract(wire, crate = insula_rpc)]
trait Register {
    /// Notes a number that no other call has.
    async fn enter(&self, cx: &Context, number: u32) -> Result<(), ()>;
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<HashSet<u32>>>);

impl Register for Book {
    async fn enter(&self, cx: &Context, number: u32) -> Result<(), ()> {
        assert!(self.0.lock().insert(number), "{number} runs twice");
        if number.is_multiple_of(3) {
            let _late = cx.checkpoint().await;
        }
        Ok(())
    }
}

/// Deadlines, cancellations and starts meet at every moment, on several threads.
#[test]
fn a_call_that_says_that_it_was_not_started_was_not() {
    const CALLS: u32 = 4_000;
    let book = Book::default();
    let service = book.clone();
    let port = Isolate::spawn_with_port(|port| serve(port, RegisterResponder::new(service)));
    let caller = RegisterCaller::over(wire::loopback(port));
    let threads = (0..4).map(|thread| {
        let (caller, book) = (caller.clone(), book.clone());
        std::thread::spawn(move || {
            let mut ends = [0_u32; 3];
            for number in (thread..CALLS).step_by(4) {
                let micros = u64::from(number % 97);
                let call = caller.enter(number).deadline(Duration::from_micros(micros));
                let error = if number % 2 == 0 {
                    block_on(call).err()
                } else {
                    match block_on(call.start().cancel_and_wait()) {
                        insula_rpc::Receipt::NotStarted(request) => {
                            assert_eq!(request, Some(number));
                            assert!(!book.0.lock().contains(&number), "{number} has run");
                            ends[0] += 1;
                            continue;
                        }
                        insula_rpc::Receipt::Stopped => None,
                        insula_rpc::Receipt::Ended(answer) => answer.err(),
                        other => panic!("{other:?}"),
                    }
                };
                let Some(error) = error else {
                    ends[1] += 1;
                    continue;
                };
                ends[2] += 1;
                if error.outcome() == Outcome::NotStarted {
                    assert_eq!(error.into_request(), Some(number));
                    assert!(!book.0.lock().contains(&number), "{number} has run");
                }
            }
            ends
        })
    });
    let ends: Vec<_> = threads.collect::<Vec<_>>();
    let ends = ends
        .into_iter()
        .map(|thread| thread.join().expect("no panic"));
    let total: u32 = ends.flatten().sum();
    assert_eq!(total, CALLS, "each call has one end");
}

/// An endpoint that knows whether it is held.
#[derive(Debug)]
struct Held {
    inner: Arc<dyn Endpoint<HuntRequest>>,
    _token: Arc<()>,
}

impl Endpoint<HuntRequest> for Held {
    fn submit(&self, call: HuntRequest, info: CallInfo) -> Ticket {
        self.inner.submit(call, info)
    }

    fn withdraw(&self, ticket: Ticket, by: CancelledBy) {
        self.inner.withdraw(ticket, by);
    }
}

fn held() -> (HuntCaller, Hunter, Weak<()>) {
    let hunter = Hunter::default();
    let token = Arc::new(());
    let weak = Arc::downgrade(&token);
    let held = Held {
        inner: Arc::new(hunter.port()),
        _token: token,
    };
    (HuntCaller::over(wire::loopback(held)), hunter, weak)
}

/// A call and its wakers hold each other in a circle, which its end has to open.
#[test]
fn nothing_is_left_of_calls_that_have_ended() {
    let (caller, hunter, token) = held();
    block_on(async {
        assert!(caller.mirror(vec![1]).await.is_ok());
        assert!(caller.fail(Set::new(Trap::None)).await.is_err());
        assert!(caller.take(1, Trap::Read).await.is_err());
        assert!(caller.give(Set::new(Trap::Read)).await.is_err());
        let mut items = caller.stream(Set::new(Trap::None)).await.expect("open");
        while items.next().await.is_some() {}
        let mut items = caller.stream(Set::new(Trap::None)).await.expect("open");
        assert!(items.next().await.is_some());
        drop(items);
        let (mut sender, call) = caller.absorb().open();
        assert!(sender.send(Trap::None).await.is_ok());
        sender.finish();
        assert_eq!(call.await.ok(), Some(1));
        let (mut sender, call) = caller.absorb().open();
        assert!(sender.send(Trap::None).await.is_ok());
        drop(call);
        drop(sender);
        let (sender, call) = caller.exchange().open();
        let items = call.await.expect("open");
        drop(sender);
        drop(items);
        let call = caller.wait().start();
        hunter.noted("waiting");
        let queued = caller.mirror(vec![2]).start();
        let other = caller.mirror(vec![3]).deadline(Duration::from_millis(1));
        assert!(other.await.is_err(), "it is behind one that waits");
        drop(queued);
        drop(call);
        let detached = caller.mirror(vec![4]).detach();
        assert!(detached.is_ok());
        assert!(caller.mirror(vec![5]).await.is_ok());
    });
    drop(caller);
    // The last handlers may still be about to end.
    let start = std::time::Instant::now();
    while token.upgrade().is_some() {
        assert!(start.elapsed().as_secs() < 20, "a call holds its endpoint");
        std::thread::yield_now();
    }
}

#[test]
fn wires_can_be_put_one_behind_the_other() {
    let hunter = Hunter::default();
    let twice: Loopback<HuntRequest> = wire::loopback(wire::loopback(hunter.port()));
    let caller = HuntCaller::over(twice);
    block_on(async {
        assert_eq!(caller.mirror(vec![1]).await.ok(), Some(vec![1]));
        let (mut sender, call) = caller.exchange().open();
        let mut items = call.await.expect("open");
        for _ in 0..100 {
            assert!(sender.send(Trap::None).await.is_ok());
            assert_eq!(items.next().await.and_then(Result::ok), Some(Trap::None));
        }
        sender.finish();
        assert!(items.next().await.is_none());
        let error = caller.panic("two wires".to_owned()).await;
        assert!(
            matches!(error, Err(CallError::Panicked { message, .. }) if message == "two wires")
        );
        let call = caller.wait().start();
        hunter.noted("waiting");
        drop(call);
        hunter.noted("call cancelled by its caller");
    });
}

/// Behind an endpoint that drops its calls.
#[test]
fn a_call_that_is_dropped_behind_a_wire_comes_back() {
    #[derive(Debug)]
    struct Hole;
    impl Endpoint<HuntRequest> for Hole {
        fn submit(&self, call: HuntRequest, _info: CallInfo) -> Ticket {
            drop(call);
            Ticket::NONE
        }
        fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}
    }
    let caller = HuntCaller::over(wire::loopback(Hole));
    let mut call = caller.mirror(vec![7]);
    let std::task::Poll::Ready(Err(error)) = poll(&mut call) else {
        panic!("it waits")
    };
    assert!(matches!(error, CallError::WorkerDied { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(error.into_request(), Some(vec![7]));
}
