#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;
use std::pin::Pin;

use futures_core::Stream;
use futures_util::stream::BoxStream;
use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Counter {
    async fn count(
        &self,
        cx: &Context,
        up_to: u32,
    ) -> Result<BoxStream<'static, Result<u32, Infallible>>, Infallible>;

    async fn count_plainly(&self, cx: &Context) -> Result<BoxStream<'static, u32>, Infallible>;

    async fn count_by_hand(
        &self,
        cx: &Context,
    ) -> Result<Pin<Box<dyn Stream<Item = u32> + Send>>, Infallible>;
}

fn main() {}
