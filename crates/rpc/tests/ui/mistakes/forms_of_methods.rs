#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::convert::Infallible;

use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Greeter {
    fn plain(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn generic<T>(&self, cx: &Context, value: T) -> Result<u8, Infallible>;
    async fn lifetime<'a>(&'a self, cx: &'a Context) -> Result<u8, Infallible>;
    async fn hidden(&self, cx: &Context, value: impl Send) -> Result<u8, Infallible>;
    async fn body(&self, cx: &Context) -> Result<u8, Infallible> {
        Ok(1)
    }
    async extern "C" fn foreign(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn pattern(&self, cx: &Context, (a, b): (u8, u8)) -> Result<u8, Infallible>;
    async fn itself(&self, cx: &Context, other: Self) -> Result<u8, Infallible>;
    async fn over(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn attribute(&self, cx: &Context, #[cfg(unix)] other: u8) -> Result<u8, Infallible>;
    const LIMIT: u8;
    #[work(gpu)]
    async fn unknown_work(&self, cx: &Context) -> Result<u8, Infallible>;
    #[work(cpu)]
    #[work(io)]
    async fn two_works(&self, cx: &Context) -> Result<u8, Infallible>;
    #[work]
    async fn no_work(&self, cx: &Context) -> Result<u8, Infallible>;
}

#[contract(crate = insula_rpc)]
trait Generic<T> {
    async fn greet(&self, cx: &Context) -> Result<T, Infallible>;
}

#[contract(crate = insula_rpc)]
trait Empty {}

#[contract(crate = insula_rpc)]
struct NoTrait;

struct Polite;

#[contract(crate = insula_rpc)]
impl Greeter for Polite {}

fn main() {}
