//! Risk: an order differs from the VM's without intent.

use std::marker::PhantomData;

use insula_testkit::On;
use insula_testkit::conformance::{Case, Failure, Outcome, cases, run};

const SEEDS: u64 = 6;

/// Tells whether a type is `Send`: what the type itself has goes before what a trait gives it.
struct Of<T>(PhantomData<T>);

trait Otherwise {
    const IS_SEND: bool = false;
}

impl<T> Otherwise for Of<T> {}

impl<T: Send> Of<T> {
    const IS_SEND: bool = true;
}

fn failures_of(case: &Case, on: On) -> Vec<Failure> {
    match run(case, on) {
        Outcome::Failed(failures) => failures,
        Outcome::Passed | Outcome::Nothing => Vec::new(),
    }
}

fn expect_all_as_written(on: &[On]) {
    let only = std::env::var("INSULA_CASE").ok();
    let chosen = cases().filter(|case| only.as_deref().is_none_or(|id| id == case.id));
    let failures: Vec<_> = chosen
        .flat_map(|case| on.iter().flat_map(|&on| failures_of(case, on)))
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_case_leaves_its_trace_on_virtual_time() {
    let seeds: Vec<_> = (0..SEEDS).map(On::Seeded).collect();
    expect_all_as_written(&seeds);
}

#[test]
fn every_case_leaves_its_trace_on_threads() {
    expect_all_as_written(&[On::Threads]);
}

/// Case 70: what the compiler cannot refuse, since a port moves with the future that holds it.
#[test]
fn a_receive_port_is_of_no_use_elsewhere() {
    use insula_core::{Isolate, ReceivePort, RunError, block_on};
    let port = block_on(Isolate::run(ReceivePort::<u8>::new)).unwrap();
    let used = Isolate::run(move || drop(port.send_port()));
    assert!(matches!(used.wait(), Err(RunError::Panicked(_))));
}

/// The counterpart of what the compiler refuses (`unsendable`): what is bound to one thread, and
/// what is not.
#[test]
fn what_belongs_to_one_thread_is_not_send() {
    use insula_core::{IsolateCell, Pinned, ReceivePort, RootIsolate, SendPort};
    use std::rc::Rc;
    let bound = [
        Of::<Pinned>::IS_SEND,
        Of::<RootIsolate>::IS_SEND,
        Of::<SendPort<Rc<u8>>>::IS_SEND,
        Of::<IsolateCell<Rc<u8>>>::IS_SEND,
    ];
    let free = [
        Of::<SendPort<Vec<u8>>>::IS_SEND,
        Of::<ReceivePort<Vec<u8>>>::IS_SEND,
        Of::<IsolateCell<Vec<u8>>>::IS_SEND,
    ];
    assert_eq!((bound, free), ([false; 4], [true; 3]));
}
