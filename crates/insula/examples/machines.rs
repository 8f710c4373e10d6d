//! A pool whose workers are on other machines. In three terminals:
//!
//! ```sh
//! nats-server
//! cargo run -p insula --features nats --example machines -- node nats://localhost:4222
//! cargo run -p insula --features nats --example machines -- call nats://localhost:4222
//! ```

#![expect(clippy::print_stdout, reason = "it prints its answers")]

// ANCHOR: program
use std::error::Error;
use std::time::Duration;

use insula::nats::Nats;
use insula::rpc::wire::Never;
use insula::{Context, WorkerPool, contract};

#[contract(wire)]
trait Sums {
    #[idempotent]
    async fn sum(&self, cx: &Context, a: u64, b: u64) -> Result<u64, Never>;
}

struct Adder;

impl Sums for Adder {
    async fn sum(&self, _cx: &Context, a: u64, b: u64) -> Result<u64, Never> {
        Ok(a + b)
    }
}

/// Serves two workers of pools elsewhere, until a line is entered.
async fn node(nats: Nats) -> Result<(), Box<dyn Error>> {
    let node = nats.node().workers(2);
    let node = node.serve::<SumsResponder<_>>(|_cx| async { Ok(Adder) });
    let node = node.start().await?;
    println!("serves {} workers", node.workers());
    insula::runtime::blocking(|| std::io::stdin().lines().next());
    node.stop(Duration::from_secs(10)).await;
    Ok(())
}

/// Has the workers of nodes compute.
async fn call(nats: Nats) -> Result<(), Box<dyn Error>> {
    let pool = WorkerPool::builder()
        .workers(2)
        .kind::<SumsRequest, _>(nats.clone())
        .build()
        .await?;
    let sums: SumsCaller = pool.caller();
    println!("1 + 2 = {}", sums.sum(1, 2).await?);
    drop(pool);
    nats.close().await;
    Ok(())
}
// ANCHOR_END: program

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    insula::block_on(async {
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["node", urls] => node(Nats::connect(urls)).await,
            ["call", urls] => call(Nats::connect(urls)).await,
            _ => Err("usage: machines node|call URLS".into()),
        }
    })
}
