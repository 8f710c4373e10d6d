//! Risk: something happens in another order than in the VM, and nobody meant it to.

use insula_testkit::On;
use insula_testkit::conformance::{Case, Failure, Outcome, cases, run};

const SEEDS: u64 = 6;

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
