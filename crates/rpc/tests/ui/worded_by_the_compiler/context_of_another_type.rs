use std::convert::Infallible;
use std::task::Context;

use insula_rpc::contract;

struct Request;

#[contract(crate = insula_rpc)]
trait Greeter {
    async fn greet(&self, cx: &Context, name: String) -> Result<(), Infallible>;
    async fn leave(&self, request: &Request) -> Result<(), Infallible>;
}

fn main() {}
