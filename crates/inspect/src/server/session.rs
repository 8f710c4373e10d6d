//! A session: requests and notifications over a WebSocket.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::listener::Stream;
use super::methods::{self, Fault};
use super::request::Request;
use super::{Place, Server, answer};
use crate::program::{Program, Tracer};

/// Bytes of a message from a client.
const MESSAGE: usize = 1 << 20;

/// The time in which a client without the header must send the token.
const PATIENCE: Duration = Duration::from_secs(5);

/// The silence after which a client is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(60);

/// The time in which it must give one. Long, since a client may be a command that was stopped and goes
/// on later.
const SIGN: Duration = Duration::from_secs(600);

/// The time between two looks for something to tell.
const LOOK: Duration = Duration::from_millis(100);

/// Events in one notification.
const EVENTS: usize = 200;

/// Serves a client until it goes or the server is stopped.
pub(super) fn run(
    server: &Server,
    mut stream: Stream,
    request: Request,
    program: &Program,
    place: Place<'_>,
) {
    let Ok(Some(key)) = request.header("sec-websocket-key") else {
        let answer = answer::Answer::of(answer::Status::BadRequest).into_bytes();
        let _ = stream.write_all(&answer);
        return stream.end();
    };
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    if stream.write_all(head.as_bytes()).is_err() || stream.limit_reads(LOOK).is_err() {
        return;
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let mut session = Session {
        is_known: request.token().is_some(),
        socket: WebSocket::from_partially_read(
            Timed::new(stream),
            request.rest,
            Role::Server,
            Some(config),
        ),
        server,
        program,
        _place: place,
        heard: Instant::now(),
        pinged: None,
        told_sample: None,
        told_events: None,
        calls: None,
    };
    // The client has gone, or has broken the protocol. In both cases there is nothing to say.
    let _ = session.run();
    let _ = session.socket.close(None);
    let _ = session.socket.flush();
}

struct Session<'a> {
    socket: WebSocket<Timed>,
    server: &'a Server,
    program: &'a Program,
    /// The client has shown the token.
    is_known: bool,
    /// That of a guest until the client has shown the token.
    _place: Place<'a>,
    /// When the client was heard last.
    heard: Instant,
    /// When a sign of life was asked for since then.
    pinged: Option<Instant>,
    /// The number of the sample that was told last, if the client listens to samples.
    told_sample: Option<u64>,
    /// The number of the event that was told last, if the client listens to events.
    told_events: Option<u64>,
    /// The calls of pools, if the client listens to them.
    calls: Option<Tracer>,
}

/// A stream whose reads are over at a given time. A message is read by any number of them, so that
/// a client that sends it a byte at a time would be waited for without an end otherwise.
struct Timed {
    stream: Stream,
    until: Instant,
}

impl Timed {
    fn new(stream: Stream) -> Self {
        let until = Instant::now();
        Self { stream, until }
    }
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until {
            return Err(ErrorKind::WouldBlock.into());
        }
        match self.stream.read(bytes) {
            // The time of the read would begin anew with each signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                Err(ErrorKind::WouldBlock.into())
            }
            read => read,
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A request. Members that are not known are ignored.
#[derive(Deserialize)]
struct Call {
    jsonrpc: String,
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

impl Session<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !self.server.is_over() {
            self.socket.get_mut().until = Instant::now() + LOOK;
            let message = self.socket.read();
            if message.is_ok() {
                (self.heard, self.pinged) = (Instant::now(), None);
            }
            match message {
                Ok(Message::Text(text)) => {
                    let answer = self.answer(text.as_str());
                    self.socket.send(Message::text(answer.to_string()))?;
                    if !self.is_known {
                        return Ok(());
                    }
                }
                // Only text is part of the protocol.
                Ok(Message::Binary(_) | Message::Close(_)) => return Ok(()),
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            if !self.is_known && Instant::now() >= deadline {
                return Ok(());
            }
            if !self.asks_for_life()? {
                return Ok(());
            }
            self.tell()?;
        }
        Ok(())
    }

    /// Asks a client that is silent for a sign of life. Returns `false` if it has given none.
    fn asks_for_life(&mut self) -> Result<bool, Error> {
        match self.pinged {
            Some(pinged) if pinged.elapsed() >= SIGN => return Ok(false),
            None if self.heard.elapsed() >= SILENCE => {
                self.pinged = Some(Instant::now());
                self.socket.send(Message::Ping(Bytes::new()))?;
            }
            _ => {}
        }
        Ok(true)
    }

    fn answer(&mut self, text: &str) -> Value {
        let call = match serde_json::from_str::<Value>(text) {
            Err(_) => return fault(&Value::Null, &Fault::parse("this is no JSON")),
            Ok(call) if !call.is_object() => {
                let text = "a request is an object, and comes alone";
                return fault(&Value::Null, &Fault::request(text));
            }
            Ok(call) => call,
        };
        let call = match serde_json::from_value::<Call>(call) {
            Ok(call) if call.jsonrpc == "2.0" && is_id(&call.id) => call,
            Ok(call) if call.jsonrpc != "2.0" => {
                return fault(&call.id, &Fault::request("`jsonrpc` must be \"2.0\""));
            }
            Ok(_) => {
                let text = "`id` must be a whole number or a text";
                return fault(&Value::Null, &Fault::request(text));
            }
            Err(error) => {
                let text = format!("this is no request: {error}");
                return fault(&Value::Null, &Fault::request(&text));
            }
        };
        match self.call(&call.method, &call.params) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": call.id, "result": result }),
            Err(error) => fault(&call.id, &error),
        }
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value, Fault> {
        // Before the method is looked at: without the token there are no methods.
        if !self.is_known {
            let token = params.get("token").and_then(Value::as_str);
            let is_right =
                method == "authenticate" && token.is_some_and(|token| self.server.token.is(token));
            if !is_right {
                return Err(Fault::request(
                    "the first request must be `authenticate` with the token",
                ));
            }
            // From here on it takes a place of those that are known.
            let Some(place) = self.server.clients.take() else {
                return Err(Fault::busy());
            };
            self._place = place;
            self.is_known = true;
            return Ok(json!({}));
        }
        match method {
            // Once more, by a client that has sent it in the head as well.
            "authenticate" => Ok(json!({})),
            "streamListen" => self.listen(params, true),
            "streamCancel" => self.listen(params, false),
            _ => {
                let (program, can_control) = (self.program, self.server.can_control);
                let stream = &self.socket.get_ref().stream;
                let is_over = || self.server.is_over() || stream.is_over();
                methods::call(program, can_control, method, params, is_over)
            }
        }
    }

    fn listen(&mut self, params: &Value, listens: bool) -> Result<Value, Fault> {
        match params.get("streamId").and_then(Value::as_str) {
            Some("Sample") => self.told_sample = listens.then_some(0),
            Some("Events") => {
                let newest = || self.program.events(u64::MAX, 0).newest;
                self.told_events = listens.then(newest);
            }
            Some("Calls") => {
                self.calls = match listens {
                    true => Some(methods::tracer(params)?),
                    false => None,
                };
            }
            _ => {
                let text = "`streamId` must be `Sample`, `Events` or `Calls`";
                return Err(Fault::params(text));
            }
        }
        Ok(json!({}))
    }

    /// Sends what has come since the last time. A client that does not read blocks this, and so
    /// gets only the newest sample, and the number of events that it has missed.
    fn tell(&mut self) -> Result<(), Error> {
        if let Some(told) = self.told_sample {
            let taken = self.program.samples_taken();
            if taken != told {
                self.told_sample = Some(taken);
                self.notify("Sample", json!(self.program.newest()))?;
            }
        }
        if let Some(told) = self.told_events {
            let events = self.program.events(told, EVENTS);
            if let Some(last) = events.events.last() {
                self.told_events = Some(last.number);
                self.notify("Events", json!(events))?;
            }
        }
        if let Some(calls) = &mut self.calls {
            let ended = calls.take(self.program);
            if !ended.calls.is_empty() || ended.dropped != 0 {
                self.notify("Calls", json!(ended))?;
            }
        }
        Ok(())
    }

    fn notify(&mut self, stream: &str, event: Value) -> Result<(), Error> {
        let notification = json!({
            "jsonrpc": "2.0",
            "method": "streamNotify",
            "params": { "streamId": stream, "event": event },
        });
        self.socket.send(Message::text(notification.to_string()))
    }
}

/// Returns whether an id comes back as it came.
fn is_id(id: &Value) -> bool {
    id.is_i64() || id.is_u64() || id.is_string()
}

fn fault(id: &Value, fault: &Fault) -> Value {
    let error = json!({ "code": fault.code, "message": fault.message });
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}
