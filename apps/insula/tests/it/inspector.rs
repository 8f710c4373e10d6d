//! An inspector that answers each method as a test wants.

use std::collections::HashMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket, accept_hdr};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// An inspector that runs until it is dropped.
pub(crate) struct Inspector {
    pub(crate) address: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Value>,
    /// What `getEvents` pages through. Without it, it answers as any other method.
    log: Option<Log>,
    /// The requests, as method and parameters.
    asked: Vec<(String, Value)>,
    connections: Vec<TcpStream>,
    has_ended: bool,
}

/// A log of events, as a program keeps it.
struct Log {
    /// The numbers of the events.
    kept: RangeInclusive<u64>,
    /// So many more come after each answer.
    growth: u64,
}

impl Inspector {
    /// Starts an inspector of a program that allows control.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/#{TOKEN}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            answers: usual_answers(),
            ..Shared::default()
        }));
        let server = Arc::clone(&shared);
        // It ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let connection = stream.try_clone().unwrap();
                {
                    let mut shared = server.lock().unwrap();
                    if shared.has_ended {
                        return;
                    }
                    shared.connections.push(connection);
                }
                let shared = Arc::clone(&server);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// Answers a method with a result from now on.
    pub(crate) fn answer(&self, method: &str, result: Value) {
        let mut shared = self.shared.lock().unwrap();
        shared.answers.insert(method.to_owned(), result);
    }

    /// Answers a method with an error from now on.
    pub(crate) fn refuse(&self, method: &str, code: i64, message: &str) {
        let error = json!({ "refused": { "code": code, "message": message } });
        self.answer(method, error);
    }

    /// Keeps the events with these numbers from now on, and makes so many more after each request for
    /// them.
    pub(crate) fn keep(&self, kept: RangeInclusive<u64>, growth: u64) {
        let mut shared = self.shared.lock().unwrap();
        shared.log = Some(Log { kept, growth });
    }

    /// Returns the parameters of the last request of a method.
    pub(crate) fn asked(&self, method: &str) -> Option<Value> {
        let shared = self.shared.lock().unwrap();
        let asked = shared.asked.iter().rev();
        let mut fits = asked.filter(|(name, _)| name == method);
        fits.next().map(|(_, params)| params.clone())
    }

    /// Ends all connections, as the end of a program does.
    pub(crate) fn end(&self) {
        let mut shared = self.shared.lock().unwrap();
        shared.has_ended = true;
        for connection in shared.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) {
    #[expect(
        clippy::result_large_err,
        reason = "the type of the callback is given by tungstenite"
    )]
    let authorize = |request: &Request, response: Response| {
        let wanted = format!("Bearer {TOKEN}");
        match request.headers().get("authorization") {
            Some(value) if value.as_bytes() == wanted.as_bytes() => Ok(response),
            _ => {
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = tungstenite::http::StatusCode::FORBIDDEN;
                Err(refusal)
            }
        }
    };
    let Ok(mut socket) = accept_hdr(stream, authorize) else {
        return;
    };
    while let Ok(message) = socket.read() {
        let Ok(text) = message.into_text() else {
            return;
        };
        if !text.is_empty() && answer(&mut socket, &text, shared).is_none() {
            return;
        }
    }
}

/// Answers one request. Returns `None` once the client has gone.
fn answer(socket: &mut WebSocket<TcpStream>, text: &str, shared: &Mutex<Shared>) -> Option<()> {
    let request: Value = serde_json::from_str(text).ok()?;
    let method = request["method"].as_str()?.to_owned();
    let result = {
        let mut shared = shared.lock().unwrap();
        let params = request["params"].clone();
        shared.asked.push((method.clone(), params.clone()));
        match &mut shared.log {
            Some(log) if method == "getEvents" => Some(log.page(&params)),
            _ => shared.answers.get(&method).cloned(),
        }
    };
    let mut reply = json!({ "jsonrpc": "2.0", "id": request["id"] });
    match result {
        Some(result) if result.get("refused").is_some() => {
            reply["error"] = result["refused"].clone();
        }
        Some(result) => reply["result"] = result,
        None => reply["error"] = json!({ "code": -32_601, "message": "no such method" }),
    }
    socket.send(Message::text(reply.to_string())).ok()?;
    if method == "streamListen" && request["params"]["streamId"] == "Calls" {
        let pool = json!({ "id": "pools/1", "name": "thumbs" });
        let ran = json!({
            "atMs": 61_000,
            "pool": pool,
            "worker": 3,
            "method": "Images.thumbnail",
            "waitUs": 250.0,
            "runUs": 12_000.0,
            "outcome": "answered",
        });
        let shed = json!({ "pool": pool, "method": "Images.\u{1b}[1m", "outcome": "shed" });
        let event = json!({ "calls": [ran, shed], "dropped": 2 });
        let params = json!({ "streamId": "Calls", "event": event });
        let notice = json!({ "jsonrpc": "2.0", "method": "streamNotify", "params": params });
        socket.send(Message::text(notice.to_string())).ok()?;
    } else if method == "streamListen" {
        let content = shared.lock().unwrap().answers.get("Events").cloned();
        let params = json!({ "streamId": "Events", "event": content });
        let notice = json!({ "jsonrpc": "2.0", "method": "streamNotify", "params": params });
        socket.send(Message::text(notice.to_string())).ok()?;
    }
    Some(())
}

impl Log {
    /// Answers `getEvents`.
    fn page(&mut self, params: &Value) -> Value {
        let since = params["since"].as_u64().unwrap();
        let limit = params["limit"].as_u64().unwrap();
        let (oldest, newest) = (*self.kept.start(), *self.kept.end());
        let first = oldest.max(since + 1);
        let last = newest.min(first + limit - 1);
        let events: Vec<_> = (first..=last).map(|it| event(it, "it has begun")).collect();
        self.kept = oldest..=newest + self.growth;
        json!({ "events": events, "dropped": first - since - 1, "newest": newest })
    }
}

pub(crate) fn event(number: u64, text: &str) -> Value {
    json!({
        "number": number,
        "atMs": number * 1_000,
        "kind": "isolateSpawn",
        "severity": "info",
        "subject": "isolates/7",
        "text": text,
    })
}

fn recorded(number: u64, text: &str) -> Value {
    let mut event = event(number, text);
    event["thread"] = "thread 1".into();
    event
}

pub(crate) fn isolate(number: u64, name: &str) -> Value {
    json!({
        "id": format!("isolates/{number}"),
        "name": name,
        "kind": "pooled",
        "state": "idle",
        "turnsTotal": 12,
        "seenMs": 5_000,
    })
}

fn usual_answers() -> HashMap<String, Value> {
    let done = json!({ "text": "done as asked" });
    let orders = [
        "pause", "resume", "kill", "ping", "drain", "resize", "recycle",
    ];
    let orders = orders.map(|method| (method, done.clone()));
    let all = of_program()
        .into_iter()
        .chain(of_isolates())
        .chain(of_pools())
        .chain(orders);
    all.map(|(method, result)| (method.to_owned(), result))
        .collect()
}

fn of_program() -> Vec<(&'static str, Value)> {
    let sample = json!({ "atMs": 60_000, "isolates": 2, "running": 1 });
    let events = [event(1, "decoder has begun"), event(2, "writer has begun")];
    let thread = json!({ "index": 0, "state": "idle" });
    let port = json!({ "id": "nativePorts/1", "name": "lookups", "waiting": 3 });
    let threads = json!({ "threads": [thread], "queued": 3, "nativePorts": [port] });
    let mailbox = json!({
        "id": "mailboxes/1",
        "kind": "oneSlot",
        "message": "Letter",
        "openedAt": "src/mill.rs:7:5",
        "isFull": true,
        "putters": 2,
    });
    let stack = json!({ "frames": ["thread 0", "decoder", "Images.thumbnail"], "looks": 9 });
    vec![
        ("getVersion", json!({ "major": 1, "minor": 0 })),
        (
            "getVM",
            json!({ "name": "images", "pid": 4_711, "canControl": true, "now": sample }),
        ),
        ("getThreads", threads),
        ("getMailboxes", json!({ "mailboxes": [mailbox] })),
        ("getHistory", json!({ "samples": [sample] })),
        ("getEvents", json!({ "events": events })),
        // The content of a notification of the stream.
        ("Events", json!({ "events": [event(3, "one more")] })),
        (
            "getRecording",
            json!({ "perThread": 100, "events": [recorded(1, "a turn took 70 ms")] }),
        ),
        ("streamListen", json!({})),
        (
            "profile",
            json!({ "durationMs": 1_000, "looks": 10, "stacks": [stack] }),
        ),
    ]
}

fn of_isolates() -> Vec<(&'static str, Value)> {
    let isolates = json!([isolate(7, "decoder"), isolate(8, "wri\u{1b}[31mter")]);
    let decoder = json!({ "id": "isolates/7", "name": "decoder" });
    let writer = json!({ "id": "isolates/8", "name": "writer" });
    let wait = json!({
        "waiter": decoder,
        "holders": [writer],
        "kind": "blocked",
        "seenMs": 1_500,
        "isInCycle": true,
    });
    let cycles = [[decoder, writer]];
    vec![
        (
            "getIsolates",
            json!({ "total": 2, "matched": 2, "isolates": isolates }),
        ),
        (
            "getIsolate",
            json!({
                "isolate": isolate(7, "decoder"),
                "hasAnswered": true,
                "why": ["It waits for \u{1b}[1mwriter.", "Nothing else keeps it alive."],
            }),
        ),
        (
            "getWaits",
            json!({ "waits": [wait], "cycles": cycles, "unanswered": 1 }),
        ),
    ]
}

fn of_pools() -> Vec<(&'static str, Value)> {
    let pool = json!({
        "id": "pools/1",
        "name": "thumbs",
        "phase": "serving",
        "ready": 4,
        "workers": 4,
        "mostWorkers": 8,
    });
    vec![
        ("getPools", json!({ "pools": [pool] })),
        (
            "getPool",
            json!({ "pool": pool, "why": ["All workers are busy."] }),
        ),
    ]
}
