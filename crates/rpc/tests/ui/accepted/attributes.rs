//! Risk: an attribute of a method warns where the contract is written, and not where it is called.
#![deny(warnings)]

use std::convert::Infallible;

use insula_core::{Isolate, block_on};
use insula_rpc::{Context, Respond, contract, serve};

#[contract(crate = insula_rpc)]
trait Greeter {
    /// Says hello.
    #[deprecated(since = "1.2.0", note = "say goodbye")]
    #[must_use]
    async fn greet(&self, cx: &Context) -> Result<u8, Infallible>;
    #[cfg_attr(all(), deprecated)]
    #[must_use = "somebody has left"]
    #[expect(clippy::too_many_arguments, reason = "as many as there are")]
    async fn leave(
        &self,
        cx: &Context,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
    ) -> Result<u8, Infallible>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(1)
    }

    async fn leave(
        &self,
        _cx: &Context,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
    ) -> Result<u8, Infallible> {
        Ok(a + b + c + d + e + f + g)
    }
}

#[test]
fn deprecated_methods_warn_their_callers_only() {
    let port = Isolate::spawn_with_port(|port| serve(port, GreeterResponder::new(Polite)));
    let caller = GreeterCaller::over(port);
    #[expect(deprecated, reason = "this is where it warns")]
    let calls = (caller.greet(), caller.leave(1, 1, 1, 1, 1, 1, 1));
    block_on(async {
        assert_eq!(calls.0.await.ok(), Some(1));
        assert_eq!(calls.1.await.ok(), Some(7));
    });
}
