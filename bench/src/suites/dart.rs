//! From Dart: calls into a Rust pool, and buffers there and back, compared with Dart's own means.
//!
//! All rows are numbers of programs in one Dart VM, which must be installed.

use std::path::Path;

use crate::case::{Case, Metric};
use crate::peers::dart::DartPackage;
use crate::peers::runtimes::Runtimes;
use crate::suites::{PACKAGE, Suite};

pub(super) const SUITE: Suite = Suite {
    name: "dart",
    about: "a Dart VM and Rust pools",
    cases,
};

const ROUND_TRIP: Metric = Metric::lower("round trip", "us");

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let Some(vm) = DartPackage::find() else {
        return Vec::new();
    };
    let mut calls = Case::new("dart", "a call and its answer", &[ROUND_TRIP]);
    vm.add_to(&mut calls, PACKAGE, "call");
    vm.add_to(&mut calls, "Isolate.run", "run");
    let mut buffers = Case::new("dart", "100 MiB there and back", &[ROUND_TRIP]);
    vm.add_to(&mut buffers, PACKAGE, "buffer");
    vm.add_to(&mut buffers, "TransferableTypedData", "transferable");
    vec![calls, buffers]
}
