//! The cases that all transports of calls share, for workers of nodes with a NATS server between, which
//! `cargo xtask test --full` has installed.
//!
//! The cases and their handlers are those of `crates/pool/tests/conformance`. The nodes are in the process
//! of the tests, so that a case and its handlers share a stage; what they say to their pool goes through
//! the server all the same, over connections of their own.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

#[path = "../../../pool/tests/conformance/contract.rs"]
mod contract;
#[expect(dead_code, reason = "cases that are left out")]
#[path = "../../../pool/tests/conformance/exclusive.rs"]
mod exclusive;
#[path = "../../../process/tests/conformance/harness.rs"]
mod harness;
#[path = "../../../pool/tests/conformance/run.rs"]
mod run;
#[path = "../../../pool/tests/conformance/script.rs"]
mod script;
#[path = "../../../pool/tests/conformance/seam.rs"]
mod seam;
#[expect(dead_code, reason = "what only other tests do to a server")]
#[path = "../servers/server.rs"]
mod server;
#[expect(dead_code, reason = "cases that are left out")]
#[path = "../../../pool/tests/conformance/shared.rs"]
mod shared;
#[path = "../../../pool/tests/conformance/stage.rs"]
mod stage;
#[path = "../../../pool/tests/conformance/suite.rs"]
mod suite;
mod transport;

use std::process::ExitCode;

use libtest_mimic::Arguments;

use server::Server;
use transport::{OneNode, ThreeNodes};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Without a server there are no cases. It ends with this function.
    let server = server::program().map(|_| Server::start());
    let cases = match &server {
        Some(server) => {
            transport::use_server(server.url());
            harness::trials::<OneNode, ThreeNodes>("one_node", "three_nodes")
        }
        None => Vec::new(),
    };
    libtest_mimic::run(&arguments, cases).exit_code()
}
