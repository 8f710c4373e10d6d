//! Risk: a signature of a contract does not compile in an `impl`, or a value is lost on its way.

use futures_core::Stream;
use futures_util::{StreamExt, future, stream};
use insula_core::{Isolate, block_on};
use insula_rpc::{Context as Ctx, Contract, Inbound, MethodKind, Respond, contract, serve};

#[derive(Debug, PartialEq)]
struct Rude;

/// Every kind of call, with no value, one and several. The signatures in the `impl` are the same.
#[contract(name = "greeting", version = 3, crate = insula_rpc)]
trait Greeter {
    async fn ping(&self, cx: &Ctx) -> Result<(), Rude>;
    #[expect(
        clippy::needless_arbitrary_self_type,
        reason = "a newcomer may write it"
    )]
    async fn greet(self: &Self, cx: &Ctx, name: String) -> Result<String, Rude>;
    async fn join(&self, cx: &Ctx, a: String, b: char, _: ()) -> Result<String, Rude>;
    async fn count(
        &self,
        cx: &Ctx,
        up_to: u32,
    ) -> Result<impl Stream<Item = Result<u32, Rude>>, Rude>;
    async fn sum(&self, cx: &Ctx, items: Inbound<u32>) -> Result<u32, Rude>;
    async fn sum_from(&self, cx: &Ctx, first: u32, items: Inbound<u32>) -> Result<u32, Rude>;
    async fn double(
        &self,
        cx: &Ctx,
        items: Inbound<u32>,
    ) -> Result<impl Stream<Item = Result<u32, Rude>>, Rude>;
}

struct Polite;

impl Greeter for Polite {
    async fn ping(&self, _cx: &Ctx) -> Result<(), Rude> {
        Ok(())
    }

    async fn greet(&self, _cx: &Ctx, name: String) -> Result<String, Rude> {
        Ok(format!("hello, {name}"))
    }

    async fn join(&self, _cx: &Ctx, a: String, b: char, _: ()) -> Result<String, Rude> {
        Ok(format!("{a}{b}"))
    }

    async fn count(
        &self,
        _cx: &Ctx,
        up_to: u32,
    ) -> Result<impl Stream<Item = Result<u32, Rude>>, Rude> {
        Ok(stream::iter(0..up_to).map(Ok))
    }

    async fn sum(&self, cx: &Ctx, items: Inbound<u32>) -> Result<u32, Rude> {
        self.sum_from(cx, 0, items).await
    }

    async fn sum_from(&self, _cx: &Ctx, first: u32, mut items: Inbound<u32>) -> Result<u32, Rude> {
        let mut sum = first;
        while let Some(item) = items.next().await {
            sum += item.map_err(|_aborted| Rude)?;
        }
        Ok(sum)
    }

    async fn double(
        &self,
        _cx: &Ctx,
        items: Inbound<u32>,
    ) -> Result<impl Stream<Item = Result<u32, Rude>>, Rude> {
        Ok(items.map(|item| item.map(|item| 2 * item).map_err(|_aborted| Rude)))
    }
}

#[test]
fn every_kind_of_call_has_its_answer() {
    let port = Isolate::spawn_with_port(|port| serve(port, GreeterResponder::new(Polite)));
    let caller = GreeterCaller::over(port);
    block_on(async {
        caller.ping().await.expect("is answered");
        let greeting = caller.greet("Ada".to_owned()).await;
        assert_eq!(greeting.expect("is answered"), "hello, Ada");
        let joined = caller.join("A".to_owned(), 'b', ()).await;
        assert_eq!(joined.expect("is answered"), "Ab");
        let counted = caller.count(3).await.expect("is answered");
        assert_eq!(all(counted).await, [0, 1, 2]);
        let sum = caller.sum().send_all(stream::iter([1, 2, 3])).await;
        assert_eq!(sum.expect("is answered"), 6);
        let sum = caller.sum_from(10).send_all(stream::iter([1, 2, 3])).await;
        assert_eq!(sum.expect("is answered"), 16);
        let (sender, doubled) = caller.double().open();
        let sent = sender.send_all(stream::iter([1, 2, 3]));
        let received = async { all(doubled.await.expect("is answered")).await };
        let (sent, received) = future::join(sent, received).await;
        sent.expect("all are read");
        assert_eq!(received, [2, 4, 6]);
    });
}

async fn all<T, E: std::fmt::Debug>(items: impl Stream<Item = Result<T, E>>) -> Vec<T> {
    items.map(|item| item.expect("is no error")).collect().await
}

#[test]
fn the_contract_knows_its_methods() {
    assert_eq!(
        (GreeterRequest::NAME, GreeterRequest::VERSION),
        ("greeting", 3)
    );
    let methods: Vec<_> = GreeterRequest::METHODS
        .iter()
        .map(|it| (it.name, it.kind))
        .collect();
    assert_eq!(
        methods,
        [
            ("ping", MethodKind::Unary),
            ("greet", MethodKind::Unary),
            ("join", MethodKind::Unary),
            ("count", MethodKind::ServerStream),
            ("sum", MethodKind::ClientStream),
            ("sum_from", MethodKind::ClientStream),
            ("double", MethodKind::Bidirectional),
        ]
    );
}
