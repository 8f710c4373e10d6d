//! The program of the guide's chapter on messages and ports.
//!
//! `cargo run -p insula-guide --bin messages`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::error::Error;

use insula::port::SendError;
use insula::{Isolate, ReceivePort, ReplyTo};

enum Message {
    Deposit(u64),
    /// A question, with the right to answer it.
    Balance(ReplyTo<u64>),
}

#[insula::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let account = Isolate::spawn_with_port(|port: ReceivePort<Message>| {
        // Only this isolate can reach the balance, so it needs no lock.
        let mut balance = 0;
        port.listen(move |message| match message {
            Message::Deposit(amount) => balance += amount,
            Message::Balance(answer) => answer.send(balance),
        })
    });
    for amount in [5, 10, 20] {
        account.send(Message::Deposit(amount))?;
    }
    // The question arrives after the deposits, because they have the same sender.
    println!("balance: {}", account.ask(Message::Balance).await?);

    // Two isolates send to one port of this isolate.
    let mut words = ReceivePort::new();
    for text in ["sea and land", "an island"] {
        let out = words.send_port();
        let read = move |text: &str| {
            text.split(' ')
                .try_for_each(|word| out.send(word.to_owned()))
        };
        Isolate::spawn(read, text);
    }
    let mut sorted = Vec::new();
    // `None` comes when all senders are dropped and all messages are taken.
    while let Some(word) = words.recv().await {
        sorted.push(word);
    }
    sorted.sort();
    println!("words: {sorted:?}");

    // A bounded port refuses what it has no room for. Nothing is lost: the message comes back.
    let mut numbers = ReceivePort::bounded(2);
    let out = numbers.send_port();
    for number in [1, 2, 3] {
        match out.send(number) {
            Err(error @ SendError::Full(_)) => println!("{error}: {}", error.into_inner()),
            sent => sent?,
        }
    }
    println!("first: {:?}", numbers.recv().await);
    Ok(())
}
// ANCHOR_END: program
