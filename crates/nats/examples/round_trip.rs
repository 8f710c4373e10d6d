//! What a call to a worker of a node costs on this machine, over the NATS server at a URL.
//!
//! `cargo run --release -p insula-nats --example round_trip -- nats://localhost:4222`

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::error::Error;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use insula_core::block_on;
use insula_nats::Nats;
use insula_pool::WorkerPool;
use insula_rpc::wire::Never;
use insula_rpc::{Context, contract};
use serde_bytes::ByteBuf;

#[contract(wire, crate = insula_rpc)]
trait Echo {
    async fn echo(&self, cx: &Context, bytes: ByteBuf) -> Result<ByteBuf, Never>;
}

struct Service;

impl Echo for Service {
    async fn echo(&self, _cx: &Context, bytes: ByteBuf) -> Result<ByteBuf, Never> {
        Ok(bytes)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let urls = std::env::args().nth(1).ok_or("usage: round_trip URLS")?;
    block_on(measure(&urls))
}

async fn measure(urls: &str) -> Result<(), Box<dyn Error>> {
    // A connection of its own, as on another machine.
    let nats = Nats::connect(urls);
    let node = nats.node().workers(1);
    let _node = node
        .serve::<EchoResponder<_>>(|_cx| async { Ok(Service) })
        .start()
        .await?;
    let nats = Nats::connect(urls);
    println!("| | median | 99 % |\n|---|---|---|");
    let mut starts = Vec::new();
    for _ in 0..50 {
        let begin = Instant::now();
        let pool = pool(&nats, 1).await?;
        starts.push(begin.elapsed());
        drop(pool);
        nats.clone().close().await;
    }
    row("start of a pool of one worker", starts);
    let one = pool(&nats, 1).await?;
    let caller: EchoCaller = one.caller();
    for (bytes, calls) in [(64, 5_000), (1 << 16, 500), (1 << 20, 100), (8 << 20, 20)] {
        let mut times = Vec::new();
        for _ in 0..calls {
            let value = ByteBuf::from(vec![1; bytes]);
            let begin = Instant::now();
            caller.echo(value).await?;
            times.push(begin.elapsed());
        }
        row(&format!("{bytes} bytes there and back"), times);
    }
    drop(one);
    nats.clone().close().await;
    let many = pool(&nats, 64).await?;
    let caller: EchoCaller = many.caller();
    let begin = Instant::now();
    let calls = (0..20_000).map(|_| {
        let caller = caller.clone();
        async move { caller.echo(ByteBuf::from([1; 64])).await.is_ok() }
    });
    let all = join_all(calls).await.into_iter().all(|it| it);
    let rate = 20_000.0 / begin.elapsed().as_secs_f64();
    println!("\n64 at once over one link: {rate:.0} calls/s, all well: {all}");
    drop(many);
    nats.close().await;
    Ok(())
}

async fn pool(nats: &Nats, calls: usize) -> Result<WorkerPool<EchoRequest>, Box<dyn Error>> {
    let pool = WorkerPool::builder()
        .workers(1)
        .concurrency_per_worker(calls)
        .queue(insula_pool::Queue::bounded(100_000));
    Ok(pool.kind(nats.clone()).build().await?)
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (median, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("| {name} | {median:.1?} | {most:.1?} |");
}
