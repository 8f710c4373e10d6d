//! Risk: statistics leave out what a request owns on the heap.

use std::convert::Infallible;

use insula_core::{Isolate, block_on};
use insula_rpc::{Context, Payload, Respond, contract, serve};

#[derive(Payload)]
#[payload(crate = insula_rpc)]
struct Batch {
    items: Vec<Item>,
    title: String,
    at: [u8; 3],
}

type Item = [u64; 5];

#[derive(Payload)]
#[payload(crate = insula_rpc)]
enum Change {
    Nothing,
    Text(String, u8),
    Batch { batch: Batch, more: Option<Batch> },
}

#[derive(Payload)]
#[payload(crate = insula_rpc)]
enum Never {}

#[derive(Payload)]
#[payload(crate = insula_rpc)]
struct Pair<A, B: Payload>(A, B);

fn batch() -> Batch {
    Batch {
        items: vec![[0; 5]; 10_000],
        title: "four".to_owned(),
        at: [0; 3],
    }
}

fn size_of<T>() -> u64 {
    std::mem::size_of::<T>() as u64
}

#[test]
fn a_derived_payload_adds_what_its_fields_own_elsewhere() {
    assert_eq!(batch().size_hint(), size_of::<Batch>() + 400_000 + 4);
    assert_eq!(Change::Nothing.size_hint(), size_of::<Change>());
    assert_eq!(
        Change::Text("four".to_owned(), 1).size_hint(),
        size_of::<Change>() + 4
    );
    let both = Change::Batch {
        batch: batch(),
        more: Some(batch()),
    };
    assert_eq!(both.size_hint(), size_of::<Change>() + 2 * 400_004);
    // A type parameter counts only with the bound.
    let pair = Pair(vec![0_u8; 10], vec![0_u8; 20]);
    assert_eq!(pair.size_hint(), size_of::<Pair<Vec<u8>, Vec<u8>>>() + 20);
    assert!(batch().at == [0; 3] && None::<Never>.size_hint() == 0);
}

#[contract(crate = insula_rpc)]
trait Store {
    async fn put(&self, cx: &Context, name: String, batch: Batch) -> Result<u8, Infallible>;
}

struct Nothing;

impl Store for Nothing {
    async fn put(&self, _cx: &Context, _: String, _: Batch) -> Result<u8, Infallible> {
        Ok(1)
    }
}

#[test]
fn all_values_of_a_request_are_counted() {
    let port = Isolate::spawn_with_port(|port| serve(port, StoreResponder::new(Nothing)));
    let caller = StoreCaller::over(port);
    let call = caller.put("Ada".to_owned(), batch()).detailed();
    let put = block_on(call).expect("is answered");
    let name = size_of::<String>() + 3;
    assert_eq!(put.traffic.bytes_moved, name + batch().size_hint() + 1);
}
