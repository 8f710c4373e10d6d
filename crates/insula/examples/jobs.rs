//! Letters that are sent even if the program that gives them ends. In three terminals:
//!
//! ```sh
//! nats-server -js
//! cargo run -p insula --features nats --example jobs -- send nats://localhost:4222
//! cargo run -p insula --features nats --example jobs -- give nats://localhost:4222 ann bob unknown
//! ```

#![expect(clippy::print_stdout, reason = "it prints what it does")]

// ANCHOR: program
use std::error::Error;
use std::time::Duration;

use insula::nats::Nats;
use insula::{Context, WorkerPool, contract};

#[contract(wire)]
trait Mail {
    /// A letter may be sent twice, if its worker ends at the wrong moment.
    #[idempotent]
    async fn send(&self, cx: &Context, to: String) -> Result<(), String>;
}

struct Post;

impl Mail for Post {
    async fn send(&self, _cx: &Context, to: String) -> Result<(), String> {
        if to == "unknown" {
            return Err(format!("{to} has no address"));
        }
        println!("sent to {to}");
        Ok(())
    }
}

/// Gives a letter to each, and ends.
async fn give(nats: Nats, names: &[&str]) -> Result<(), Box<dyn Error>> {
    let jobs = nats.jobs("mail").open().await?;
    let mail: MailCaller = jobs.caller();
    for name in names {
        // The same name is not stored again in the next two minutes.
        let letter = mail.send((*name).to_owned()).idempotency_key(*name);
        let given = jobs.give(letter).await?;
        let stored = if given.is_duplicate {
            "known"
        } else {
            "stored"
        };
        println!("{name} is {stored} as job {}", given.number);
    }
    Ok(())
}

/// Sends letters until a line is entered.
async fn send(nats: Nats) -> Result<(), Box<dyn Error>> {
    let pool = WorkerPool::builder()
        .workers(2)
        .service::<MailResponder<_>>(|_cx| async { Ok(Post) })
        .build()
        .await?;
    let jobs = nats.jobs("mail").open().await?;
    let working = jobs.work::<MailRequest>(pool.caller(), 2).await?;
    insula::runtime::blocking(|| std::io::stdin().lines().next());
    // Its drop would cancel the calls that run.
    working.stop(Duration::from_secs(10)).await;
    let (waiting, dead) = (jobs.waiting().await?, jobs.dead().await?);
    println!("{waiting} letters wait, and {dead} could not be sent");
    Ok(())
}
// ANCHOR_END: program

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    insula::block_on(async {
        match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["give", urls, names @ ..] => give(Nats::connect(urls), names).await,
            ["send", urls] => send(Nats::connect(urls)).await,
            _ => Err("usage: jobs send URLS | jobs give URLS NAMES".into()),
        }
    })
}
