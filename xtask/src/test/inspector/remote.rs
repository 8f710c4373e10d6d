//! Requests, answers and events as JSON over a WebSocket. Both the protocol of the browser and that of
//! the inspector have this form.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::Uri;
use tungstenite::{Message, WebSocket};

use super::{Trouble, failed};

/// The longest time for an answer. A profile takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the other side.
pub(super) struct Remote {
    socket: WebSocket<TcpStream>,
    /// Members that each request has beside its own.
    pub(super) envelope: Map<String, Value>,
    next_id: u64,
    /// Messages that came unasked. Bounded by what the other side tells during a test.
    events: Vec<Event>,
}

/// A message that came unasked.
pub(super) struct Event {
    pub(super) method: String,
    pub(super) params: Value,
}

impl Remote {
    /// Connects to `ws://host:port/path`, with a token if the other side wants one.
    pub(super) fn connect(address: &str, token: Option<&str>) -> Result<Self, Trouble> {
        let uri: Uri = address.parse().map_err(failed)?;
        let host = uri.authority().ok_or_else(|| failed("no host"))?.as_str();
        let stream = TcpStream::connect(host).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut request = address.into_client_request().map_err(failed)?;
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().map_err(failed)?;
            request.headers_mut().insert("Authorization", value);
        }
        let (socket, _) = tungstenite::client(request, stream).map_err(failed)?;
        Ok(Self {
            socket,
            envelope: Map::new(),
            next_id: 1,
            events: Vec::new(),
        })
    }

    /// Sends a request and returns its result.
    pub(super) fn call(&mut self, method: &str, params: Value) -> Result<Value, Trouble> {
        let answer = self.ask(method, params)?;
        match answer.get("error") {
            Some(error) => Err(failed(format!("{method}: {error}"))),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Sends a request and returns the whole answer, which may be an error.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Result<Value, Trouble> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = self.envelope.clone();
        request.extend([
            ("id".to_owned(), json!(id)),
            ("method".to_owned(), json!(method)),
            ("params".to_owned(), params),
        ]);
        let request = Message::text(Value::Object(request).to_string());
        self.socket.send(request).map_err(failed)?;
        loop {
            let mut message = self.read(method)?;
            if message["id"] == json!(id) {
                return Ok(message);
            }
            if let Some(method) = message["method"].as_str() {
                self.events.push(Event {
                    method: method.to_owned(),
                    params: message["params"].take(),
                });
            }
        }
    }

    fn read(&mut self, method: &str) -> Result<Value, Trouble> {
        loop {
            let message = self.socket.read();
            let message = message.map_err(|error| failed(format!("{method}: {error}")))?;
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).map_err(failed);
            }
        }
    }

    /// Takes the messages that came unasked up to the last answer.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}
