#![allow(unused_imports, reason = "what would use them is not generated after the mistake")]

use std::borrow::Cow;
use std::convert::Infallible;

use insula_rpc::{Context, contract};

struct Req<'a>(&'a str);

#[contract(crate = insula_rpc)]
trait Reader {
    async fn text(&self, cx: &Context, text: &str) -> Result<(), Infallible>;
    async fn bytes(&self, cx: &Context, bytes: &mut [u8]) -> Result<(), Infallible>;
    async fn lines(&self, cx: &Context, lines: Vec<&str>) -> Result<(), Infallible>;
    async fn request(&self, cx: &Context, request: Req<'_>) -> Result<(), Infallible>;
    async fn title(&self, cx: &Context) -> Result<&str, Infallible>;
    async fn titles(&self, cx: &Context) -> Result<Vec<Cow<'_, str>>, Infallible>;
    async fn error(&self, cx: &Context) -> Result<(), &str>;
}

fn main() {}
