#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;
use std::io;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Greeter {
    async fn nothing(&self, cx: &Context);
    async fn value(&self, cx: &Context) -> u8;
    async fn alias(&self, cx: &Context) -> io::Result<u8>;
    async fn hidden(&self, cx: &Context) -> Result<u8, impl Send>;
    async fn open(&self, cx: &Context) -> Result<_, Infallible>;
}

fn main() {}
