#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Counter {
    async fn count(&self, cx: &Context) -> Result<u32, Infallible>;
    async fn total(&self, cx: &Context) -> Result<u32, Infallible>;
    async fn add(&mut self, cx: &Context, count: u32) -> Result<(), Infallible>;
}

fn main() {}
