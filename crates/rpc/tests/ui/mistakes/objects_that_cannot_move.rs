#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;
use std::error::Error;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Runner {
    async fn read(&self, cx: &Context, at: u32) -> Result<(), Box<dyn Error>>;
    async fn run(&self, cx: &Context, job: Box<dyn FnOnce(&str) -> u8>) -> Result<(), Infallible>;
}

fn main() {}
