#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;

use insula_rpc::{Context, Inbound, contract};

#[contract(crate = insula_rpc)]
trait Adder {
    async fn first(&self, cx: &Context, items: Inbound<u32>, at: u8) -> Result<u32, Infallible>;
    async fn twice(
        &self,
        cx: &Context,
        items: Inbound<u32>,
        more: Inbound<u64>,
    ) -> Result<u32, Infallible>;
    async fn inside(&self, cx: &Context, items: Option<Inbound<u32>>) -> Result<u32, Infallible>;
    async fn borrowed(&self, cx: &Context, items: &mut Inbound<u32>) -> Result<u32, Infallible>;
    async fn back(&self, cx: &Context) -> Result<Inbound<u32>, Infallible>;
    async fn untyped(&self, cx: &Context, items: Inbound) -> Result<u32, Infallible>;
    async fn texts(&self, cx: &Context, items: Inbound<&str>) -> Result<u32, Infallible>;
}

fn main() {}
