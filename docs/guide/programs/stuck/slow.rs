//! A pool whose calls wait, because its handlers block.

use std::error::Error;
use std::thread;
use std::time::Duration;

use insula::isolate::RunError;
use insula::pool::Shutdown;
use insula::{Context, Isolate, WorkerPool, block_on, contract};

use super::End;

// ANCHOR: problem
#[contract]
trait Prices {
    async fn price(&self, cx: &Context, item: u32) -> Result<u32, RunError>;
}

/// Asks a shop, which takes a second. The thread blocks until the answer is there.
fn ask_the_shop(item: u32) -> u32 {
    thread::sleep(Duration::from_secs(1));
    100 + item
}

struct Shop;

impl Prices for Shop {
    async fn price(&self, _cx: &Context, item: u32) -> Result<u32, RunError> {
        Ok(ask_the_shop(item))
    }
}

async fn build() -> Result<WorkerPool<PricesRequest>, Box<dyn Error>> {
    let pool = WorkerPool::builder()
        .name("prices")
        .workers(2)
        .service::<PricesResponder<_>>(|_cx| async { Ok(Shop) })
        .build()
        .await?;
    Ok(pool)
}

/// Asks for one price after the other.
async fn ask_for_prices(caller: PricesCaller) {
    for item in 0.. {
        if caller.price(item).await.is_err() {
            break;
        }
    }
}
// ANCHOR_END: problem

struct RepairedShop;

// ANCHOR: repair
impl Prices for RepairedShop {
    async fn price(&self, _cx: &Context, item: u32) -> Result<u32, RunError> {
        Isolate::run(move || ask_the_shop(item)).await
    }
}

async fn build_repaired() -> Result<WorkerPool<PricesRequest>, Box<dyn Error>> {
    let pool = WorkerPool::builder()
        .name("prices")
        .workers(2)
        .concurrency_per_worker(4)
        .service::<PricesResponder<_>>(|_cx| async { Ok(RepairedShop) })
        .build()
        .await?;
    Ok(pool)
}
// ANCHOR_END: repair

/// Starts the pool and its eight callers.
pub(super) fn start(is_repaired: bool) -> Result<End, Box<dyn Error>> {
    let pool = match is_repaired {
        false => block_on(build())?,
        true => block_on(build_repaired())?,
    };
    for number in 0..8 {
        let name = format!("caller {number}");
        Isolate::builder()
            .name(name)
            .spawn(ask_for_prices, pool.caller());
    }
    Ok(Box::new(move || {
        block_on(pool.shut_down(Shutdown::graceful(Duration::ZERO)));
    }))
}
