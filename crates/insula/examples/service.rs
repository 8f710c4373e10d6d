//! A contract, its service, and a pool of workers that answer its calls.
//!
//! `cargo run -p insula --example service`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::time::Duration;

use insula::pool::Shutdown;
use insula::{CallError, Context, WorkerPool, contract};

#[contract]
trait Arithmetic {
    /// Returns the smallest divisor of `number` that is greater than 1.
    async fn smallest_divisor(&self, cx: &Context, number: u64) -> Result<u64, TooSmall>;
}

#[derive(Debug)]
struct TooSmall;

impl std::fmt::Display for TooSmall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the number is below 2")
    }
}

impl Error for TooSmall {}

struct Divider;

impl Arithmetic for Divider {
    async fn smallest_divisor(&self, _cx: &Context, number: u64) -> Result<u64, TooSmall> {
        if number < 2 {
            return Err(TooSmall);
        }
        let mut candidates = (2..).take_while(|divisor| divisor * divisor <= number);
        Ok(candidates
            .find(|divisor| number.is_multiple_of(*divisor))
            .unwrap_or(number))
    }
}

#[insula::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let pool = WorkerPool::builder()
        .name("arithmetic")
        .workers(2)
        .service::<ArithmeticResponder<_>>(|_cx| async { Ok(Divider) })
        .build()
        .await?;
    let caller: ArithmeticCaller = pool.caller();
    for number in [999_999_937, 1_000_000_007 * 3, 1] {
        match caller
            .smallest_divisor(number)
            .deadline(Duration::from_secs(5))
            .await
        {
            Ok(divisor) => println!("{number}: {divisor}"),
            Err(CallError::App(TooSmall)) => println!("{number}: {TooSmall}"),
            // Every other error says whether the work may have run.
            Err(error) => println!("{number}: {error} ({})", error.outcome()),
        }
    }
    let report = pool
        .shut_down(Shutdown::graceful(Duration::from_secs(5)))
        .await;
    assert_eq!(report.lost, 0);
    Ok(())
}
