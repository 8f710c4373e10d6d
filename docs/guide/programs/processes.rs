//! The program of the guide's chapter on workers in processes.
//!
//! `cargo run -p insula-guide --bin processes`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::error::Error;

use insula::pool::Restart;
use insula::process::{self, Process, Worker};
use insula::rpc::wire::Never;
use insula::{CallError, Context, WorkerPool, contract};

#[contract(wire)]
trait Codec {
    /// Returns the bytes without the zeros.
    async fn squeeze(&self, cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Never>;
}

/// A service that calls a library which may crash.
struct Foreign;

impl Codec for Foreign {
    async fn squeeze(&self, _cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Never> {
        if bytes.is_empty() {
            // As a library in C does that is given something unexpected.
            std::process::abort();
        }
        Ok(bytes.into_iter().filter(|byte| *byte != 0).collect())
    }
}

fn register(worker: &mut Worker) {
    worker.serve::<CodecResponder<_>>(|_cx| async { Ok(Foreign) });
}

fn main() -> Result<(), Box<dyn Error>> {
    // First of all: a worker is a process of this program, and serves here.
    process::main(register);
    insula::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let pool: WorkerPool<CodecRequest> = WorkerPool::builder()
        .workers(2)
        .restart(Restart::default())
        .kind(Process::current_exe())
        .build()
        .await?;
    let caller: CodecCaller = pool.caller();
    println!("{:?}", caller.squeeze(vec![1, 0, 2]).await?);
    match caller.squeeze(Vec::new()).await {
        Err(CallError::WorkerDied { outcome, .. }) => println!("a worker died: {outcome:?}"),
        other => println!("{other:?}"),
    }
    println!("{:?}", caller.squeeze(vec![0, 3]).await?);
    Ok(())
}
// ANCHOR_END: program
