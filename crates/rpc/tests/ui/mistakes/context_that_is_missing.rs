#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Greeter {
    async fn none(&self) -> Result<(), Infallible>;
    async fn request(&self, name: String) -> Result<(), Infallible>;
    async fn text(&self, name: &str) -> Result<(), Infallible>;
    async fn owned(&self, cx: Context) -> Result<(), Infallible>;
    async fn unique(&self, cx: &mut Context) -> Result<(), Infallible>;
}

fn main() {}
