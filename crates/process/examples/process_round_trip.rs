//! What a call to a worker process costs on this machine.
//!
//! `cargo run --release -p insula-process --example process_round_trip`

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::error::Error;
use std::time::{Duration, Instant};

use insula_core::{Isolate, block_on};
use insula_memory::{Segment, SegmentPool};
use insula_pool::WorkerPool;
use insula_process::Process;
use insula_rpc::wire::Never;
use insula_rpc::{Context, contract};

#[contract(wire, crate = insula_rpc)]
trait Echo {
    async fn echo(&self, cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Never>;
    async fn pass(&self, cx: &Context, segment: Segment) -> Result<Segment, Never>;
}

struct Service;

impl Echo for Service {
    async fn echo(&self, _cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Never> {
        Ok(bytes)
    }

    async fn pass(&self, _cx: &Context, segment: Segment) -> Result<Segment, Never> {
        Ok(segment)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    insula_process::main(|worker| worker.serve::<EchoResponder<_>>(|_cx| async { Ok(Service) }));
    println!("| | median | 99 % |\n|---|---|---|");
    block_on(starts())?;
    block_on(calls("from a thread"))?;
    // A caller on a thread of the pool, which looks for the answer itself.
    let measured = Isolate::run_async(async || {
        let measured = calls("from an isolate").await;
        measured.map_err(|error| error.to_string())
    });
    Ok(block_on(measured)??)
}

async fn starts() -> Result<(), Box<dyn Error>> {
    let mut starts = Vec::new();
    for _ in 0..50 {
        let begin = Instant::now();
        let _pool = pool().await?;
        starts.push(begin.elapsed());
    }
    row("start of a pool of one process", starts);
    Ok(())
}

async fn calls(from: &str) -> Result<(), Box<dyn Error>> {
    let pool = pool().await?;
    let caller: EchoCaller = pool.caller();
    for (bytes, calls) in [(64, 50_000), (1 << 20, 200)] {
        let mut times = Vec::new();
        for _ in 0..calls {
            let value = vec![1; bytes];
            let begin = Instant::now();
            caller.echo(value).await?;
            times.push(begin.elapsed());
        }
        row(&format!("{bytes} bytes there and back, {from}"), times);
    }
    for bytes in [1 << 20, 16 << 20] {
        let segment = SegmentPool::new(1).allocate(bytes)?.freeze()?;
        let mut times = Vec::new();
        for _ in 0..2_000 {
            let begin = Instant::now();
            caller.pass(segment.clone()).await?;
            times.push(begin.elapsed());
        }
        let name = format!("a segment of {bytes} bytes there and back, {from}");
        row(&name, times);
    }
    Ok(())
}

async fn pool() -> Result<WorkerPool<EchoRequest>, Box<dyn Error>> {
    let kind = Process::current_exe();
    Ok(WorkerPool::builder().workers(1).kind(kind).build().await?)
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (median, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("| {name} | {median:.1?} | {most:.1?} |");
}
