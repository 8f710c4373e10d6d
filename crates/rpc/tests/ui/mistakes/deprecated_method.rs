#![deny(deprecated)]

use std::convert::Infallible;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Greeter {
    #[deprecated = "say goodbye"]
    async fn greet(&self, cx: &Context) -> Result<u8, Infallible>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, _: &Context) -> Result<u8, Infallible> {
        Ok(1)
    }
}

fn call(caller: &GreeterCaller) {
    drop(caller.greet());
}

fn main() {}
