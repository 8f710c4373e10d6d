//! The program of the guide's chapter on waiting synchronously.
//!
//! `cargo run -p insula-guide --bin waiting`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use insula::sync::{Mutex, rendezvous};
use insula::{Isolate, Mailbox, ReceivePort, ReplyTo};

fn main() -> Result<(), Box<dyn Error>> {
    // A rendezvous: this thread makes requests, and an isolate responds. Neither awaits.
    let (requester, responder) = rendezvous::<String, String>();
    let server = Isolate::run(move || responder.message_loop(|_, text| text.to_uppercase()));
    println!("response: {}", requester.request("island".to_owned())?);
    // The loop ends, because nothing can make requests any more.
    drop(requester);
    println!("server: {:?}", server.wait()?);

    // A wait with a time-out always ends.
    let mailbox = Mailbox::<u32>::new();
    let other = mailbox.clone();
    if let Err(error) = mailbox.take_timeout(Duration::from_millis(10)) {
        println!("mailbox: {error}");
    }
    thread::spawn(move || other.put(7));
    println!("mailbox: {}", mailbox.take()?);

    // A lock that isolates and threads share.
    let sum = Arc::new(Mutex::new(0));
    let shared = sum.clone();
    let add = Isolate::run(move || shared.run_locked(|sum| *sum += 20));
    sum.run_locked(|sum| *sum += 1)?;
    add.wait()??;
    println!("sum: {}", sum.run_locked(|sum| *sum)?);

    // A wait that would never end is refused.
    let alone = |()| {
        let port = ReceivePort::<ReplyTo<u32>>::new();
        port.send_port()
            .ask_blocking(|reply_to| reply_to, None)
            .map(drop)
    };
    let alone = Isolate::builder().name("alone").spawn(alone, ());
    println!("alone: {}", insula::block_on(alone.exited()));
    Ok(())
}
// ANCHOR_END: program
