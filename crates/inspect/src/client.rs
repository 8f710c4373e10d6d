//! The client of the protocol: a blocking connection to the inspector of a program.
//!
//! One thread uses a [`Client`]. A call writes its request and reads until its answer comes;
//! notifications that come before it are kept for [`Client::next_notification`]. Each wait has a
//! limit, which also ends a wait for a server that sends a byte now and then.
//!
//! The server is another program, so nothing that it sends is trusted: messages have a largest
//! size, the notifications that are kept a largest number, and what makes no sense is an error.

mod address;
mod error;
mod transport;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tungstenite::client::client_with_config;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::generate_key;
use tungstenite::http::{Request, header};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

pub use address::{Address, AddressError};
pub use error::ClientError;

use crate::model::{EndedCalls, Events, PROTOCOL, Sample, Version};
use transport::Transport;

/// The largest message that is read, in bytes. The largest answer, a thousand isolates, has about
/// a third of a megabyte.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// The most notifications that are kept between two calls of [`Client::next_notification`].
const MAX_NOTIFICATIONS: usize = 1_024;

/// A connection to the inspector of a program.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use insula_inspect::client::{Address, Client};
/// use insula_inspect::model::Pools;
///
/// let address = Address::parse("http://127.0.0.1:40123/#0123456789abcdef")?;
/// let mut client = Client::connect(&address, Duration::from_secs(5))?;
/// let pools: Pools = client.call("getPools", serde_json::json!({}))?;
/// println!("{} pools", pools.pools.len());
/// # Ok(())
/// # }
/// ```
pub struct Client {
    socket: WebSocket<Transport>,
    timeout: Duration,
    next_id: u64,
    notifications: VecDeque<Notification>,
    missed: u64,
}

/// A message that the server sends unasked, once a stream is listened to.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Notification {
    /// The sample of a second, of the stream `Sample`.
    Sample(Box<Sample>),
    /// Events as they come, of the stream `Events`.
    Events(Events),
    /// Calls of pools that have ended, of the stream `Calls`.
    Calls(EndedCalls),
}

/// A message of the server, of which each kind leaves out some members.
#[derive(Deserialize)]
struct Incoming {
    id: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<RemoteError>,
    method: Option<String>,
    params: Option<Value>,
}

/// Keeps a `null` apart from a member that is missing, since `null` is a result too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct RemoteError {
    code: i64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamNotification {
    stream_id: String,
    #[serde(default)]
    event: Value,
}

impl Client {
    /// Connects to an inspector, and compares the versions of the protocol. `timeout` limits this
    /// and each call.
    ///
    /// # Blocking
    /// Waits for the server, at most `timeout` for each of three steps.
    ///
    /// # Errors
    /// Returns an error if no inspector listens at the address, if it refuses the token, or if it
    /// speaks another version of the protocol.
    pub fn connect(address: &Address, timeout: Duration) -> Result<Self, ClientError> {
        let mut transport = Transport::connect(address, timeout)?;
        transport.set_deadline(Instant::now().checked_add(timeout));
        let (socket, _) = client_with_config(upgrade(address)?, transport, Some(config()))
            .map_err(|error| match error {
                HandshakeError::Failure(error) => ClientError::of_handshake(error, timeout),
                HandshakeError::Interrupted(_) => ClientError::TimedOut { after: timeout },
            })?;
        let mut client = Self::new(socket, timeout);
        let theirs: Version = client.call("getVersion", json!({}))?;
        if theirs.major != PROTOCOL.major {
            return Err(ClientError::Version { theirs });
        }
        Ok(client)
    }

    fn new(socket: WebSocket<Transport>, timeout: Duration) -> Self {
        Self {
            socket,
            timeout,
            next_id: 1,
            notifications: VecDeque::new(),
            missed: 0,
        }
    }

    /// Makes a client of a connection, as if a server had accepted it. For a fuzz target.
    #[cfg(all(fuzzing, unix))]
    pub(crate) fn over(stream: std::os::unix::net::UnixStream) -> Self {
        use tungstenite::protocol::Role;
        let transport = Transport::over(stream);
        let socket = WebSocket::from_raw_socket(transport, Role::Client, Some(config()));
        Self::new(socket, Duration::from_secs(60))
    }

    /// Calls a method, and returns its result.
    ///
    /// # Blocking
    /// Waits for the answer, at most for the time-out of the connection.
    ///
    /// # Errors
    /// Returns the server's error, or the reason for which there is no answer. After a time-out the
    /// connection can still be used: an answer that comes late is dropped.
    pub fn call<R: DeserializeOwned>(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<R, ClientError> {
        self.call_within(method, params, self.timeout)
    }

    /// Calls a method that may take longer than others, such as `profile`.
    ///
    /// # Blocking
    /// Waits for the answer, at most for `timeout`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_within<R: DeserializeOwned>(
        &mut self,
        method: &str,
        params: Value,
        timeout: Duration,
    ) -> Result<R, ClientError> {
        let result = self.call_value(method, params, timeout)?;
        serde_json::from_value(result).map_err(|error| ClientError::Broken {
            reason: format!("the answer to {method}: {error}"),
        })
    }

    /// Asks for the notifications of a stream: `Sample`, `Events` or `Calls`.
    ///
    /// # Blocking
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn listen(&mut self, stream: &str) -> Result<(), ClientError> {
        self.listen_with(stream, Map::new())
    }

    /// Like [`listen`](Self::listen), with further parameters, such as those of `Calls`.
    ///
    /// # Blocking
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn listen_with(
        &mut self,
        stream: &str,
        mut params: Map<String, Value>,
    ) -> Result<(), ClientError> {
        params.insert("streamId".to_owned(), stream.into());
        let _: Value = self.call("streamListen", Value::Object(params))?;
        Ok(())
    }

    /// Returns the next notification, or `None` if there is none within `timeout`. Those of streams
    /// that this client does not know are skipped.
    ///
    /// # Blocking
    /// Waits for a notification, at most for `timeout`.
    ///
    /// # Errors
    /// Returns an error if the connection has ended, or if a message makes no sense.
    pub fn next_notification(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<Notification>, ClientError> {
        let deadline = Instant::now().checked_add(timeout);
        while self.notifications.is_empty() {
            match self.read(deadline, timeout) {
                // An answer for which a call no longer waits.
                Ok(_) => {}
                Err(ClientError::TimedOut { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(self.notifications.pop_front())
    }

    /// Returns the number of notifications that were dropped since the last call of this method,
    /// because too many had come before they were taken.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    fn call_value(
        &mut self,
        method: &str,
        params: Value,
        timeout: Duration,
    ) -> Result<Value, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let deadline = Instant::now().checked_add(timeout);
        self.socket.get_mut().set_deadline(deadline);
        self.socket
            .send(Message::text(request.to_string()))
            .map_err(|error| ClientError::of_socket(error, timeout))?;
        loop {
            let Some(message) = self.read(deadline, timeout)? else {
                continue;
            };
            match message.id {
                Some(Value::Number(number)) if number.as_u64() == Some(id) => {}
                // The answer to a call that has given up.
                Some(Value::Number(number)) if number.as_u64().is_some_and(|it| it < id) => {
                    continue;
                }
                // The server could not read the id; answers come in order, so this is ours.
                Some(Value::Null) | None if message.error.is_some() => {}
                _ => return Err(ClientError::broken("an answer to no request")),
            }
            return match (message.error, message.result) {
                (Some(error), _) => Err(ClientError::of_remote(error.code, error.message)),
                (None, Some(result)) => Ok(result),
                (None, None) => Err(ClientError::broken("an answer without a result")),
            };
        }
    }

    /// Reads one message. Keeps a notification, and returns anything else.
    fn read(
        &mut self,
        deadline: Option<Instant>,
        timeout: Duration,
    ) -> Result<Option<Incoming>, ClientError> {
        self.socket.get_mut().set_deadline(deadline);
        let message = self
            .socket
            .read()
            .map_err(|error| ClientError::of_socket(error, timeout))?;
        let text = match message {
            Message::Text(text) => text,
            // The socket answers pings by itself, and reports a close at the next read.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                return Ok(None);
            }
            Message::Binary(_) => return Err(ClientError::broken("a binary message")),
        };
        let message: Incoming =
            serde_json::from_str(&text).map_err(|error| ClientError::Broken {
                reason: error.to_string(),
            })?;
        if message.method.is_none() {
            return Ok(Some(message));
        }
        if message.method.as_deref() == Some("streamNotify") {
            self.keep(message.params.unwrap_or_default())?;
        }
        Ok(None)
    }

    fn keep(&mut self, params: Value) -> Result<(), ClientError> {
        let broken = |error: serde_json::Error| ClientError::Broken {
            reason: format!("a notification: {error}"),
        };
        let StreamNotification { stream_id, event } =
            serde_json::from_value(params).map_err(broken)?;
        let notification = match stream_id.as_str() {
            "Sample" => Notification::Sample(serde_json::from_value(event).map_err(broken)?),
            "Events" => Notification::Events(serde_json::from_value(event).map_err(broken)?),
            "Calls" => Notification::Calls(serde_json::from_value(event).map_err(broken)?),
            _ => return Ok(()),
        };
        if self.notifications.len() == MAX_NOTIFICATIONS {
            self.notifications.pop_front();
            self.missed += 1;
        }
        self.notifications.push_back(notification);
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("timeout", &self.timeout)
            .field("notifications", &self.notifications.len())
            .finish_non_exhaustive()
    }
}

/// The limits of what is read.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// Returns the request that makes a connection of HTTP one of WebSocket.
fn upgrade(address: &Address) -> Result<Request<()>, ClientError> {
    let host = address.host();
    Request::builder()
        .uri(format!("ws://{host}/ws"))
        .header(header::HOST, &host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::AUTHORIZATION, format!("Bearer {}", address.token()))
        .body(())
        .map_err(|error| ClientError::Broken {
            reason: error.to_string(),
        })
}
