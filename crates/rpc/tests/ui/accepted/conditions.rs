//! Risk: what is generated for a method is there although the method is not.

use std::convert::Infallible;

use insula_rpc::{Context, Contract, contract};

/// The types of methods that are not there need not be there either.
#[contract(crate = insula_rpc)]
trait Partial {
    async fn always(&self, cx: &Context) -> Result<u8, Infallible>;
    #[cfg(any())]
    async fn never(&self, cx: &Context, request: Absent) -> Result<Absent, Absent>;
    #[cfg(any())]
    async fn never_sent(&self, cx: &Context, items: Inbound<Absent>) -> Result<u8, Infallible>;
    #[cfg_attr(all(), cfg(any()))]
    async fn never_streamed(
        &self,
        cx: &Context,
    ) -> Result<impl Absent<Item = Result<Absent, Absent>> + Stream<Item = Result<u8, u8>>, u8>;
    #[cfg(not(loom))]
    async fn either(&self, cx: &Context) -> Result<u8, Infallible>;
    #[cfg(loom)]
    async fn either(&self, cx: &Context, request: Absent) -> Result<u8, Infallible>;
}

#[contract(crate = insula_rpc)]
trait Hollow {
    #[cfg(any())]
    async fn never(&self, cx: &Context) -> Result<Absent, Absent>;
}

#[contract(crate = insula_rpc)]
#[cfg(any())]
trait Absent {
    async fn never(&self, cx: &Context) -> Result<Absent, Absent>;
}

struct Service;

impl Partial for Service {
    async fn always(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(1)
    }

    async fn either(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(2)
    }
}

impl Hollow for Service {}

#[test]
fn a_method_whose_condition_is_off_is_nowhere() {
    let names: Vec<_> = PartialRequest::METHODS.iter().map(|it| it.name).collect();
    assert_eq!(names, ["always", "either"]);
    assert!(HollowRequest::METHODS.is_empty());
    fn is_responder<R: insula_rpc::Respond>() {}
    is_responder::<PartialResponder<Service>>();
    is_responder::<HollowResponder<Service>>();
}
