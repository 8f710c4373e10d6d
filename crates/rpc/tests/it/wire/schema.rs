//! The schema of a contract is what is written in it, on every system.

use std::collections::HashMap;

use futures_core::Stream;
use insula_rpc::wire::WireContract;
use insula_rpc::{Aborted, Context, Inbound, contract};

// No service has it.
const _: usize = size_of::<MeterResponder<()>>();

#[contract(name = "meter", version = 2, wire, crate = insula_rpc)]
trait Meter {
    /// Each line is a type that is written in another way than it is shown.
    #[idempotent]
    #[rustfmt::skip]
    async fn record(
        &self,
        cx: &Context,
        station: String,
        _: HashMap< String,Vec<(u8 , u8)> , >,
        _: [u16;3],
    ) -> Result<(), Aborted2>;

    /// Both send streams.
    async fn means(
        &self,
        cx: &Context,
        items: Inbound<f64>,
    ) -> Result<impl Stream<Item = Result<f64, Aborted2>>, Aborted2>;

    /// Is not there.
    #[cfg(any())]
    async fn absent(&self, cx: &Context) -> Result<(), Aborted2>;

    /// The name is without `r#`.
    async fn r#type(&self, cx: &Context) -> Result<Option<std::time::Duration>, Aborted2>;
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Aborted2;

impl From<Aborted> for Aborted2 {
    fn from(_: Aborted) -> Self {
        Self
    }
}

const EXPECTED: &str = "\
contract meter
version 2

method means
  kind bidirectional
  sent f64
  item f64
  error Aborted2

method record
  kind unary
  idempotent
  parameter String
  parameter HashMap<String, Vec<(u8, u8)>>
  parameter [u16; 3]
  response ()
  error Aborted2

method type
  kind unary
  response Option<std::time::Duration>
  error Aborted2
";

#[test]
fn the_schema_of_a_contract_has_its_types_as_they_are_written() {
    assert_eq!(MeterRequest::SCHEMA.to_string(), EXPECTED);
    const HASH: u64 = MeterRequest::SCHEMA_HASH;
    // Computed by another program.
    assert_eq!(HASH, 0x66cd_4509_a62e_7aa0);
}
