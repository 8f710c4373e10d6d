//! Risk: a call is no value that can be kept, joined and moved.

use std::convert::Infallible;

use futures_util::future;
use insula_core::{Isolate, block_on};
use insula_rpc::{Call, Context, Respond, contract, serve};

#[contract(crate = insula_rpc)]
trait Doubler {
    async fn double(&self, cx: &Context, number: u32) -> Result<u32, Infallible>;
}

struct Plain;

impl Doubler for Plain {
    async fn double(&self, _cx: &Context, number: u32) -> Result<u32, Infallible> {
        Ok(2 * number)
    }
}

/// Keeps calls that wait, by the type of their method.
struct Waiting(Vec<Call<DoublerDoubleMethod>>);

fn caller() -> DoublerCaller {
    DoublerCaller::over(Isolate::spawn_with_port(|port| {
        serve(port, DoublerResponder::new(Plain))
    }))
}

#[test]
fn calls_are_joined_as_they_are() {
    let caller = caller();
    let waiting = Waiting((0..4).map(|number| caller.double(number)).collect());
    drop(caller);
    let answers = block_on(future::join_all(waiting.0)).into_iter();
    let answers: Vec<_> = answers.filter_map(Result::ok).collect();
    assert_eq!(answers, [0, 2, 4, 6]);
}

#[test]
fn a_call_outlives_its_caller() {
    let call = caller().double(4);
    let answer = Isolate::run(|| call.blocking().ok());
    assert_eq!(answer.wait().expect("ends"), Some(8));
}
