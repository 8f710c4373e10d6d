#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use insula_rpc::{Context, contract};

#[contract(wire, crate = insula_rpc, wire)]
trait Twice {
    async fn m(&self, cx: &Context) -> Result<(), ()>;
}

#[contract(version = 1, version = 2, crate = insula_rpc)]
trait Versions {
    async fn m(&self, cx: &Context) -> Result<(), ()>;
}

#[contract(wire = true, crate = insula_rpc)]
trait WithValue {
    async fn m(&self, cx: &Context) -> Result<(), ()>;
}

#[contract(name = "two\nlines", wire, crate = insula_rpc)]
trait Lines {
    async fn m(&self, cx: &Context) -> Result<(), ()>;
}

fn main() {}
