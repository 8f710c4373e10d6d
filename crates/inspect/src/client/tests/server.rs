//! A server of one connection, which a test scripts.

use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket, accept_hdr};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The server's end of a connection.
pub(super) struct Peer {
    socket: WebSocket<TcpStream>,
    pub(super) authorization: String,
    pub(super) host: String,
    /// The address at which the server listens, without a scheme.
    pub(super) address: String,
}

impl Peer {
    pub(super) fn send(&mut self, message: Message) {
        self.socket.send(message).unwrap();
    }

    /// Sends what the client may refuse to read.
    pub(super) fn try_send(&mut self, message: Message) {
        let _ = self.socket.send(message);
    }

    pub(super) fn reply(&mut self, message: &Value) {
        self.send(Message::text(message.to_string()));
    }

    pub(super) fn notify(&mut self, stream: &str, event: &Value) {
        let params = json!({ "streamId": stream, "event": event });
        self.reply(&json!({ "jsonrpc": "2.0", "method": "streamNotify", "params": params }));
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.socket.get_ref().try_clone().unwrap()
    }
}

/// Serves one connection, whose version is already told. Returns the address.
pub(super) fn serve(script: impl FnOnce(Peer) + Send + 'static) -> (String, JoinHandle<()>) {
    serve_raw(|mut peer| {
        answer_version(&mut peer);
        script(peer);
    })
}

/// Serves one connection from its upgrade on.
pub(super) fn serve_raw(script: impl FnOnce(Peer) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let place = address.clone();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let (mut authorization, mut host) = (String::new(), String::new());
        #[expect(
            clippy::result_large_err,
            reason = "the type of the callback is given by tungstenite"
        )]
        let look = |request: &Request, response: Response| {
            assert_eq!(request.uri().path(), "/ws");
            let header = |name: &str| {
                let value = request.headers().get(name).unwrap();
                value.to_str().unwrap().to_owned()
            };
            authorization = header("authorization");
            host = header("host");
            Ok(response)
        };
        let socket = accept_hdr(stream, look).unwrap();
        script(Peer {
            socket,
            authorization,
            host,
            address: place,
        });
    });
    (format!("http://{address}/#{TOKEN}"), server)
}

pub(super) fn answer_version(peer: &mut Peer) {
    let asked = request(peer);
    assert_eq!(asked["method"], "getVersion");
    answer(peer, &asked, json!({ "major": 1, "minor": 0 }));
}

/// Returns the next request, or `null` once the client has gone.
pub(super) fn request(peer: &mut Peer) -> Value {
    match peer.socket.read() {
        Ok(message) => match message.into_text() {
            Ok(text) if !text.is_empty() => serde_json::from_str(&text).unwrap(),
            _ => Value::Null,
        },
        Err(_) => Value::Null,
    }
}

pub(super) fn answer(peer: &mut Peer, asked: &Value, result: Value) {
    peer.reply(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }));
}
