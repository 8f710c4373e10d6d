//! Two isolates: one counts the letters of the texts that it receives, the other sends them.
//!
//! `cargo run -p insula --example hello`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use insula::port::AskError;
use insula::{Isolate, ReceivePort, ReplyTo};

/// A question, and the right to answer it.
struct Count {
    text: String,
    answer: ReplyTo<usize>,
}

#[insula::main]
async fn main() -> Result<(), AskError> {
    let counter = Isolate::spawn_with_port(|port: ReceivePort<Count>| {
        // Only this isolate can reach the sum, so it needs no lock.
        let mut sum = 0;
        port.listen(move |Count { text, answer }| {
            sum += text.chars().count();
            answer.send(sum);
        });
    });
    for text in ["hello", "isolates"] {
        let sum = counter
            .ask(|answer| Count {
                text: text.to_owned(),
                answer,
            })
            .await?;
        println!("{sum} letters after \"{text}\"");
    }
    // No sender of the counter's port is left, so the counter exits by itself.
    Ok(())
}
