use std::convert::Infallible;
use std::rc::Rc;

use futures_core::Stream;
use insula_core::ReceivePort;
use insula_rpc::{Context, Inbound, Respond, contract, serve};

struct Request {
    shared: Rc<u8>,
}

#[contract(crate = insula_rpc)]
trait Reader {
    async fn request(&self, cx: &Context, at: u8, request: Request) -> Result<(), Infallible>;
    async fn response(&self, cx: &Context) -> Result<Rc<u8>, Infallible>;
    async fn error(&self, cx: &Context) -> Result<(), *const u8>;
    async fn sent(&self, cx: &Context, items: Inbound<Rc<str>>) -> Result<(), Infallible>;
    async fn answered(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<Rc<[u8]>, Infallible>>, Infallible>;
}

// What uses the contract adds no errors to those.
async fn answer(port: ReceivePort<ReaderRequest>, service: impl Reader + 'static) {
    serve(port, ReaderResponder::new(service)).await;
}

async fn call(caller: &ReaderCaller) {
    let request = Request {
        shared: Rc::new(1),
    };
    let answered = caller.request(1, request).await;
    drop((answered, caller.answered().await));
}

fn main() {}
