//! Two native threads call an isolate's methods by name: requests go to a port of the isolate,
//! and the answers come back through a native port.
//!
//! `cargo run -p insula --example native_port_call`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use insula::port::NativePort;
use insula::{ReceivePort, ReplyTo, SendPort, one_shot};

struct Request {
    method: &'static str,
    data: Vec<u8>,
    /// The number of the call that waits for the answer, if one does.
    pending: Option<u64>,
    answers: NativePort<Response>,
}

struct Response {
    pending: u64,
    data: Vec<u8>,
}

/// The native side: the isolate's port, and the calls of its threads that wait for answers.
#[derive(Clone)]
struct Caller {
    requests: SendPort<Request>,
    answers: NativePort<Response>,
    waiting: Arc<Mutex<HashMap<u64, ReplyTo<Vec<u8>>>>>,
    next: Arc<AtomicU64>,
}

impl Caller {
    fn new(requests: SendPort<Request>) -> Self {
        let waiting = Arc::<Mutex<HashMap<u64, ReplyTo<Vec<u8>>>>>::default();
        let found = waiting.clone();
        let on_answer = move |response: Response| {
            let mut waiting = found.lock().unwrap_or_else(PoisonError::into_inner);
            let thread = waiting.remove(&response.pending);
            drop(waiting);
            if let Some(thread) = thread {
                thread.send(response.data);
            }
        };
        Self {
            requests,
            answers: NativePort::new("answers", on_answer, 1),
            waiting,
            next: Arc::default(),
        }
    }

    /// Calls a method and waits for its answer.
    fn call(&self, method: &'static str, data: Vec<u8>) -> Result<Vec<u8>, Box<dyn Error>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply_to, reply) = one_shot();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, reply_to);
        self.send(method, data, Some(id))?;
        Ok(reply.wait()?)
    }

    /// Sends a request, and does not wait for an answer.
    fn send(
        &self,
        method: &'static str,
        data: Vec<u8>,
        pending: Option<u64>,
    ) -> Result<(), Box<dyn Error>> {
        let request = Request {
            method,
            data,
            pending,
            answers: self.answers.clone(),
        };
        self.requests.send(request).map_err(|_| "closed".into())
    }
}

fn work(number: u32, argument: u8, caller: &Caller) -> Result<(), Box<dyn Error>> {
    println!("thread {number}: starts");
    println!("thread {number}: calls add_three({argument})");
    let answer = caller.call("add_three", vec![argument])?[0];
    println!("thread {number}: add_three({argument}) returned {answer}");
    println!("thread {number}: calls note({})", answer - 1);
    caller.send("note", vec![answer - 1], None)?;
    println!("thread {number}: is done");
    Ok(())
}

fn start_worker(number: u32, argument: u8, caller: Caller) -> JoinHandle<()> {
    thread::spawn(move || {
        if let Err(error) = work(number, argument, &caller) {
            println!("thread {number}: {error}");
        }
    })
}

#[insula::main]
async fn main() {
    println!("isolate: opens its port and starts two threads");
    let mut requests = ReceivePort::new();
    let caller = Caller::new(requests.send_port());
    start_worker(1, 3, caller.clone());
    start_worker(2, 5, caller);
    let mut noted = Vec::new();
    // Ends when both threads have ended, and so all `SendPort`s are dropped.
    while let Some(request) = requests.recv().await {
        let argument = request.data[0];
        println!("isolate:     {}({argument})", request.method);
        match (request.method, request.pending) {
            ("add_three", Some(pending)) => {
                let data = vec![argument + 3];
                // Fails only if the native side is gone, and then no call waits.
                let _ = request.answers.post(Response { pending, data });
            }
            _ => noted.push(argument),
        }
    }
    noted.sort_unstable();
    assert_eq!(noted, [5, 7]);
    println!("isolate: is done");
}
