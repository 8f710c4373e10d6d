#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;

use futures_core::Stream;
use insula_rpc::{Context, contract};

struct Other;

#[contract(crate = insula_rpc)]
trait Counter {
    async fn plain(&self, cx: &Context) -> impl Stream<Item = Result<u32, Infallible>>;

    async fn infallible(&self, cx: &Context) -> Result<impl Stream<Item = u32>, Infallible>;

    async fn two_errors(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<u32, Other>>, Infallible>;

    async fn no_stream(&self, cx: &Context) -> Result<impl Iterator<Item = u32>, Infallible>;
}

fn main() {}
