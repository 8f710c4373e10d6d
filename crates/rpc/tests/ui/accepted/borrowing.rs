//! Risk: a stream cannot use its service, or a service with a lifetime cannot be one at all.

use std::convert::Infallible;

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use insula_core::{Isolate, block_on};
use insula_rpc::{Context, Respond, contract, serve};

#[contract(crate = insula_rpc)]
trait Reader {
    async fn lines(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<String, Infallible>>, Infallible>;
}

/// Its text may be borrowed, from what lives for as long as the program.
struct Text<'a>(&'a str);

impl Reader for Text<'_> {
    async fn lines(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<String, Infallible>>, Infallible> {
        let numbered = self.0.lines().enumerate();
        Ok(stream::iter(numbered).map(|(at, line)| {
            assert!(!cx.is_cancelled());
            Ok(format!("{at}: {line}"))
        }))
    }
}

#[test]
fn a_stream_borrows_its_service_and_the_context() {
    let service = Text("one\ntwo");
    let port = Isolate::spawn_with_port(|port| serve(port, ReaderResponder::new(service)));
    let caller = ReaderCaller::over(port);
    block_on(async {
        let lines = caller.lines().await.expect("is answered");
        let lines: Vec<_> = lines.filter_map(async |line| line.ok()).collect().await;
        assert_eq!(lines, ["0: one", "1: two"]);
    });
}
