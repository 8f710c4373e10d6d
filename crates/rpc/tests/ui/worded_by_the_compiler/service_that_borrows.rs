use std::convert::Infallible;

use insula_core::Isolate;
use insula_rpc::{Context, Respond, contract, serve};

#[contract(crate = insula_rpc)]
trait Reader {
    async fn read(&self, cx: &Context, at: usize) -> Result<u8, Infallible>;
    async fn len(&self, cx: &Context) -> Result<usize, Infallible>;
}

// A service may borrow; but it has to own what it uses when it moves to its isolate.
struct Borrowing<'a>(&'a [u8]);

impl Reader for Borrowing<'_> {
    async fn read(&self, _: &Context, at: usize) -> Result<u8, Infallible> {
        Ok(self.0[at])
    }

    async fn len(&self, _: &Context) -> Result<usize, Infallible> {
        Ok(self.0.len())
    }
}

fn main() {
    let text = vec![1, 2, 3];
    let service = Borrowing(&text);
    Isolate::spawn_with_port(|port| serve(port, ReaderResponder::new(service)));
}
