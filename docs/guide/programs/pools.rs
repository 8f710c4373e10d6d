//! The program of the guide's chapter on calls and pools.
//!
//! `cargo run -p insula-guide --bin pools`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use futures_util::{Stream, stream};
use insula::pool::Shutdown;
use insula::rpc::Aborted;
use insula::{Context, Inbound, WorkerPool, contract};

#[contract]
trait Numbers {
    /// Returns the smallest divisor of `number` that is greater than 1.
    async fn divisor(&self, cx: &Context, number: u64) -> Result<u64, Infallible>;

    /// Answers with all primes, the smallest one first.
    async fn primes(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<u64, Infallible>>, Infallible>;

    /// Returns the sum of the numbers that the caller sends.
    async fn sum(&self, cx: &Context, numbers: Inbound<u64>) -> Result<u64, Aborted>;

    /// Waits until nothing needs the answer any more.
    async fn dawdle(&self, cx: &Context) -> Result<(), Infallible>;
}

/// A worker's own state. Each worker has one.
struct Worker;

fn smallest_divisor(number: u64) -> u64 {
    let candidates = (2..).take_while(|divisor| divisor * divisor <= number);
    let mut divisors = candidates.filter(|divisor| number.is_multiple_of(*divisor));
    divisors.next().unwrap_or(number)
}

impl Numbers for Worker {
    async fn divisor(&self, _cx: &Context, number: u64) -> Result<u64, Infallible> {
        Ok(smallest_divisor(number))
    }

    async fn primes(
        &self,
        _cx: &Context,
    ) -> Result<impl Stream<Item = Result<u64, Infallible>>, Infallible> {
        let primes = (2..).filter(|number| smallest_divisor(*number) == *number);
        Ok(stream::iter(primes.map(Ok)))
    }

    async fn sum(&self, _cx: &Context, mut numbers: Inbound<u64>) -> Result<u64, Aborted> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            // An error means that not all numbers have come.
            sum += number?;
        }
        Ok(sum)
    }

    async fn dawdle(&self, cx: &Context) -> Result<(), Infallible> {
        cx.cancelled().await;
        Ok(())
    }
}

#[insula::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let pool = WorkerPool::builder()
        .name("numbers")
        .workers(2)
        .service::<NumbersResponder<_>>(|_cx| async { Ok(Worker) })
        .build()
        .await?;
    let caller: NumbersCaller = pool.caller();
    for number in [999_999_937, 1_000_000_007 * 3] {
        println!("{number}: {}", caller.divisor(number).await?);
    }

    // The answer is a stream without an end. Its sender is ahead of us by a few items only.
    let mut primes = caller.primes().await?;
    let mut found = Vec::new();
    while found.len() < 5
        && let Some(prime) = primes.next().await
    {
        found.push(prime?);
    }
    // Cancels the call.
    drop(primes);
    println!("primes: {found:?}");

    // The request is a stream.
    let (mut sender, call) = caller.sum().open();
    for number in found {
        sender.send(number).await?;
    }
    sender.finish();
    println!("their sum: {}", call.await?);

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
