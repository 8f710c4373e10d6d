//! Risk: two calls use a service at once that one call uses at a time.

use std::cell::Cell;
use std::convert::Infallible;

use futures_core::Stream;
use futures_util::{StreamExt, future, stream};
use insula_core::{Isolate, block_on, yield_now};
use insula_rpc::{Context, Inbound, Respond, contract, serve};

#[contract(crate = insula_rpc)]
trait Counter {
    async fn add(&mut self, cx: &Context, count: u32) -> Result<u32, Infallible>;
    #[expect(
        clippy::needless_arbitrary_self_type,
        reason = "a newcomer may write it"
    )]
    async fn add_all(
        self: &mut Self,
        cx: &Context,
        counts: Inbound<u32>,
    ) -> Result<u32, Infallible>;
    async fn steps(
        &mut self,
        cx: &Context,
        up_to: u32,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible>;
}

/// Not `Sync`, which only a service that is shared by several calls has to be.
struct Total(Cell<u32>);

impl Counter for Total {
    async fn add(&mut self, _cx: &Context, count: u32) -> Result<u32, Infallible> {
        let before = self.0.get();
        yield_now().await;
        self.0.set(before + count);
        Ok(self.0.get())
    }

    async fn add_all(&mut self, cx: &Context, mut counts: Inbound<u32>) -> Result<u32, Infallible> {
        while let Some(Ok(count)) = counts.next().await {
            self.add(cx, count).await?;
        }
        Ok(self.0.get())
    }

    async fn steps(
        &mut self,
        _cx: &Context,
        up_to: u32,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible> {
        Ok(stream::iter(0..up_to).map(|_| {
            *self.0.get_mut() += 1;
            Ok(self.0.get())
        }))
    }
}

#[test]
fn calls_that_change_the_service_run_one_at_a_time() {
    const { assert!(CounterResponder::<Total>::EXCLUSIVE) };
    let responder = CounterResponder::new(Total(Cell::new(0)));
    let port = Isolate::spawn_with_port(|port| serve(port, responder));
    let caller = CounterCaller::over(port);
    block_on(async {
        let calls = (1..=10).map(|count| caller.add(count));
        let totals = future::try_join_all(calls).await.expect("are answered");
        assert_eq!(totals.last(), Some(&55));
        let steps = caller.steps(100).await.expect("is answered");
        let next = caller.add(0).start();
        assert_eq!(steps.count().await, 100);
        assert_eq!(next.await.ok(), Some(155), "the stream was over before");
        let total = caller.add_all().send_all(stream::iter([1, 2])).await;
        assert_eq!(total.ok(), Some(158));
    });
}
