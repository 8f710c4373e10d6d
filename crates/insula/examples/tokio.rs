//! Isolates in a tokio program: it sends, asks and awaits results as any other program does, while
//! heavy work runs in isolates and tokio's thread stays free.
//!
//! `cargo run -p insula --example tokio`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use insula::{Isolate, ReceivePort, ReplyTo};

/// Counts the steps of the Collatz sequence from `start` to 1, without ever yielding its thread.
fn steps_to_one(start: u64) -> u32 {
    let mut steps = 0;
    let mut number = start;
    while number != 1 {
        number = if number.is_multiple_of(2) {
            number / 2
        } else {
            3 * number + 1
        };
        steps += 1;
    }
    steps
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let longest = Isolate::run(|| (1..1_000_000).max_by_key(|&start| steps_to_one(start)));

    let echo = Isolate::spawn_with_port(|port: ReceivePort<(u64, ReplyTo<u64>)>| {
        port.listen(|(number, answer)| answer.send(number));
    });
    let echoes = tokio::spawn(async move {
        let mut sum = 0;
        for number in 1..=1_000 {
            sum += echo.ask(|answer| (number, answer)).await?;
        }
        Ok::<_, insula::port::AskError>(sum)
    });

    let sum = echoes.await??;
    println!("{sum} from a thousand questions while another isolate computed");
    println!("{:?} takes most steps below a million", longest.await?);
    Ok(())
}
