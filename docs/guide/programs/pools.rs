//! The program of the guide's chapter on calls and pools.
//!
//! `cargo run -p insula-guide --bin pools`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use insula::pool::Shutdown;
use insula::{Context, WorkerPool, contract};

#[contract]
trait Numbers {
    /// Returns the smallest divisor of `number` that is greater than 1.
    async fn divisor(&self, cx: &Context, number: u64) -> Result<u64, Infallible>;

    /// Waits until nothing needs the answer any more.
    async fn dawdle(&self, cx: &Context) -> Result<(), Infallible>;
}

/// A worker's own state. Each worker has one.
struct Worker;

impl Numbers for Worker {
    async fn divisor(&self, _cx: &Context, number: u64) -> Result<u64, Infallible> {
        let candidates = (2..).take_while(|divisor| divisor * divisor <= number);
        let mut divisors = candidates.filter(|divisor| number.is_multiple_of(*divisor));
        Ok(divisors.next().unwrap_or(number))
    }

    async fn dawdle(&self, cx: &Context) -> Result<(), Infallible> {
        cx.cancelled().await;
        Ok(())
    }
}

#[insula::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let pool = WorkerPool::<NumbersResponder<_>>::builder()
        .name("numbers")
        .workers(2)
        .worker(|_cx| async { Ok(Worker) })
        .build()
        .await?;
    let caller = pool.caller();
    for number in [999_999_937, 1_000_000_007 * 3] {
        println!("{number}: {}", caller.divisor(number).await?);
    }

    // The error says how the call ended, and whether its work may have run.
    let late = caller.dawdle().deadline(Duration::from_millis(500)).await;
    if let Err(error) = late {
        println!("{error} ({})", error.outcome());
    }

    let report = pool
        .shut_down(Shutdown::graceful(Duration::from_secs(5)))
        .await;
    println!("lost: {}", report.lost);
    let refused = caller.divisor(12).await;
    if let Err(error) = refused {
        println!("{error} ({})", error.outcome());
        println!("the request comes back: {:?}", error.into_request());
    }
    Ok(())
}
// ANCHOR_END: program
