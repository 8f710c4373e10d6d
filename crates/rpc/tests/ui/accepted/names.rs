//! Risk: the name of a method or a value is also that of something generated.

use std::convert::Infallible;

use insula_core::{Isolate, block_on};
use insula_rpc::{Context, Contract, Inbound, Respond, contract, serve};

#[contract(crate = insula_rpc)]
#[expect(
    non_snake_case,
    reason = "two methods that have one name in camel case"
)]
trait r#Greeter {
    async fn request(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn caller(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn responder(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn method(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn request_method(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn été(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn r#type(&self, cx: &Context, r#fn: u8) -> Result<u8, Infallible>;
    async fn self_(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn _1(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn a_b(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn aB(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn new(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn from(&self, cx: &Context) -> Result<u8, Infallible>;
    #[expect(clippy::too_many_arguments, reason = "all names that may collide")]
    async fn values(
        &self,
        cx: &Context,
        sender: u8,
        items: u8,
        endpoint: u8,
        _: u8,
        request: Inbound<u8>,
    ) -> Result<u8, Infallible>;
}

struct Service;

impl Greeter for Service {
    async fn request(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(1)
    }

    async fn caller(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(2)
    }

    async fn responder(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(3)
    }

    async fn method(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(4)
    }

    async fn request_method(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(5)
    }

    async fn été(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(6)
    }

    async fn r#type(&self, _cx: &Context, r#fn: u8) -> Result<u8, Infallible> {
        Ok(r#fn)
    }

    async fn self_(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(8)
    }

    async fn _1(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(9)
    }

    async fn a_b(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(10)
    }

    async fn aB(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(11)
    }

    async fn new(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(12)
    }

    async fn from(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(13)
    }

    async fn values(
        &self,
        _cx: &Context,
        sender: u8,
        items: u8,
        endpoint: u8,
        other: u8,
        mut request: Inbound<u8>,
    ) -> Result<u8, Infallible> {
        assert_eq!(request.next().await, Some(Ok(1)));
        Ok(sender + 10 * items + 50 * endpoint + other)
    }
}

#[test]
fn every_method_can_be_called() {
    let port = Isolate::spawn_with_port(|port| serve(port, GreeterResponder::new(Service)));
    let caller = GreeterCaller::over(port);
    block_on(async {
        assert_eq!(caller.request().await.ok(), Some(1));
        assert_eq!(caller.caller().await.ok(), Some(2));
        assert_eq!(caller.responder().await.ok(), Some(3));
        assert_eq!(caller.method().await.ok(), Some(4));
        assert_eq!(caller.request_method().await.ok(), Some(5));
        assert_eq!(caller.été().await.ok(), Some(6));
        assert_eq!(caller.r#type(7).await.ok(), Some(7));
        assert_eq!(caller.self_().await.ok(), Some(8));
        assert_eq!(caller._1().await.ok(), Some(9));
        assert_eq!(caller.a_b().await.ok(), Some(10));
        assert_eq!(caller.aB().await.ok(), Some(11));
        assert_eq!(caller.new().await.ok(), Some(12));
        assert_eq!(caller.from().await.ok(), Some(13));
        let items = futures_util::stream::iter([1]);
        assert_eq!(
            caller.values(1, 2, 3, 4).send_all(items).await.ok(),
            Some(175)
        );
    });
}

#[test]
fn names_go_on_the_wire_as_they_are_called() {
    assert_eq!(GreeterRequest::NAME, "Greeter");
    let names: Vec<_> = GreeterRequest::METHODS.iter().map(|it| it.name).collect();
    assert!(
        names.contains(&"type") && names.contains(&"été"),
        "{names:?}"
    );
}
