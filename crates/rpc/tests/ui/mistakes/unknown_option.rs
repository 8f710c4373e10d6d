#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc, nmae = "greeting")]
trait Greeter {
    async fn greet(&self, cx: &Context) -> Result<u8, Infallible>;
}

fn main() {}
