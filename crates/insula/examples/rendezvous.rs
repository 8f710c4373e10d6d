//! A rendezvous: the main thread sends requests to an isolate that it has started, and blocks until
//! it has each response. Neither needs an event loop.
//!
//! `cargo run -p insula --example rendezvous`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use insula::Isolate;
use insula::sync::{Requester, Responder, rendezvous};

type Failure = Box<dyn std::error::Error>;

fn work(responder: &Responder<String, String>) {
    println!("Isolate is running");
    let ended = responder.message_loop(|responder, message| {
        if message == "exit" {
            responder.stop();
            return "ok".to_owned();
        }
        println!("got {message} from mailbox, responding");
        format!("response({message})")
    });
    if let Err(error) = ended {
        println!("Isolate stops: {error}");
    }
    println!("Isolate is done");
}

fn request(requester: &Requester<String, String>, message: &str) -> Result<(), Failure> {
    println!("sending {message}");
    let response = requester.request(message.to_owned())?;
    println!("got back: {response}");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let (requester, responder) = rendezvous();
    let worker = Isolate::run(move || work(&responder));
    for i in 0..5 {
        request(&requester, &format!("request #{i}"))?;
    }
    request(&requester, "exit")?;
    worker.wait()?;
    Ok(())
}
