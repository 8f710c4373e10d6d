#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;
use std::sync::Arc;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Greeter {
    async fn none(cx: &Context) -> Result<(), Infallible>;
    async fn owned(self, cx: &Context) -> Result<(), Infallible>;
    async fn shared(self: Arc<Self>, cx: &Context) -> Result<(), Infallible>;
    async fn lasting(&'static self, cx: &Context) -> Result<(), Infallible>;
}

fn main() {}
