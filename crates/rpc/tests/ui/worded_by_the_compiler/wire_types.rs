//! Types that cannot cross a wire, each at its place: a request, an item of a caller, a response, an
//! item of an answer, an error.

use insula_rpc::{Context, Inbound, contract};

struct Plain;

#[derive(serde::Serialize)]
struct Half;

#[contract(wire, crate = insula_rpc)]
trait Request {
    async fn m(&self, cx: &Context, fine: u8, request: Plain) -> Result<(), String>;
}

#[contract(wire, crate = insula_rpc)]
trait Sent {
    async fn m(&self, cx: &Context, fine: u8, items: Inbound<Plain>) -> Result<(), String>;
}

#[contract(wire, crate = insula_rpc)]
trait Response {
    async fn m(&self, cx: &Context) -> Result<Vec<Half>, String>;
}

#[contract(wire, crate = insula_rpc)]
trait Item {
    async fn m(
        &self,
        cx: &Context,
    ) -> Result<impl futures_core::Stream<Item = Result<Plain, String>>, String>;
}

#[contract(wire, crate = insula_rpc)]
trait Failure {
    async fn m(&self, cx: &Context) -> Result<(), std::io::Error>;
}

/// It is an error only where calls become bytes.
#[contract(crate = insula_rpc)]
trait Unwired {
    async fn m(&self, cx: &Context, request: Plain) -> Result<Half, std::io::Error>;
}

fn main() {}
