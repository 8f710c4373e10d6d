//! Sessions: the token first, then the methods.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use super::{SECRET, Served};

type Socket = WebSocket<TcpStream>;

/// Opens a session as the page does, without the token.
fn open(served: &Served) -> Socket {
    let url = format!("ws://{}/ws", served.host);
    let mut request = url.into_client_request().expect("it is an address");
    let origin = format!("http://{}", served.host);
    let origin = origin.parse().expect("it is a value");
    request.headers_mut().insert("Origin", origin);
    let opened = tungstenite::client(request, served.connect());
    opened.expect("the server upgrades").0
}

/// Opens a session and shows the token.
fn authenticated(served: &Served) -> Socket {
    let mut socket = open(served);
    let answer = call(
        &mut socket,
        "authenticate",
        json!({ "token": served.token() }),
    );
    assert_eq!(answer["result"], json!({}));
    socket
}

fn send(socket: &mut Socket, text: impl Into<String>) -> Option<Value> {
    socket.send(Message::text(text.into())).ok()?;
    answer(socket)
}

/// Returns the next message that is an answer.
fn answer(socket: &mut Socket) -> Option<Value> {
    loop {
        let message = socket.read().ok()?;
        let value: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
        if value.get("id").is_some() {
            return Some(value);
        }
    }
}

fn call(socket: &mut Socket, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    send(socket, request.to_string()).expect("it is answered")
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_default()
}

#[test]
fn without_the_token_no_method_is_known() {
    let served = Served::start(true);
    for (method, params) in [
        ("getVM", json!({})),
        ("getIsolates", json!({})),
        ("kill", json!({ "isolateId": "isolates/1" })),
        ("authenticate", json!({})),
        ("authenticate", json!({ "token": "" })),
        ("authenticate", json!({ "token": 7 })),
        ("authenticate", json!({ "token": "0".repeat(64) })),
        ("getVM", json!({ "token": served.token() })),
    ] {
        let mut socket = open(&served);
        let answer = call(&mut socket, method, params);
        assert_eq!(code(&answer), -32600, "{method}: {answer}");
        assert!(!answer.to_string().contains(SECRET), "{answer}");
        // Then the session is over.
        assert!(send(&mut socket, "{}").is_none(), "{method}");
    }
}

#[test]
fn a_client_that_does_not_show_the_token_in_time_is_cut_off() {
    let served = Served::start(false);
    let mut socket = open(&served);
    let begun = Instant::now();
    assert!(answer(&mut socket).is_none());
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
}

/// A frame of a mebibyte comes a byte at a time, and the read of it never waits for long.
#[test]
fn a_client_that_sends_its_first_message_slowly_is_cut_off_too() {
    use std::io::{Read, Write};

    let served = Served::start(false);
    let mut socket = open(&served);
    let stream = socket.get_mut();
    let begun = Instant::now();
    // A masked text of a mebibyte.
    let head = [0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4];
    stream.write_all(&head).expect("it is open");
    let mut reader = stream.try_clone().expect("a descriptor is free");
    let ended = std::thread::spawn(move || {
        let mut rest = Vec::new();
        // An end or an error: the server reads no more.
        let _ = reader.read_to_end(&mut rest);
    });
    while !ended.is_finished() {
        let _ = stream.write_all(b" ");
        std::thread::sleep(Duration::from_millis(20));
        assert!(begun.elapsed() < Duration::from_secs(9), "it is waited for");
    }
    assert!(ended.join().is_ok());
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is a table")]
fn what_is_no_request_is_an_error_and_the_session_goes_on() {
    let served = Served::start(false);
    let mut socket = authenticated(&served);
    for (text, expected) in [
        ("", -32700),
        ("{", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"getVM"} x"#, -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"getVM"}]"#, -32600),
        ("7", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"getVM"}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"getVM"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"getVM"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":[],"method":"getVM"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"getVM"}"#, -32600),
        (r#"["2.0",1,"getVM",{}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"noSuch"}"#, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolates","params":[]}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolates","params":{"limit":1001}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolates","params":{"limit":-1}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolates","params":{"sort":"secret"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolates","params":{"state":"odd"}}"#,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"getIsolate"}"#, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolate","params":{"isolateId":7}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolate","params":{"isolateId":"x"}}"#,
            105,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getIsolate","params":{"isolateId":"isolates/-1"}}"#,
            105,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"getPool","params":{"poolId":"pools/999999"}}"#,
            105,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"profile","params":{"seconds":61}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"streamListen","params":{"streamId":"Odd"}}"#,
            -32602,
        ),
    ] {
        let answer = send(&mut socket, text).expect("the session goes on");
        assert_eq!(code(&answer), expected, "{text}: {answer}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = send(&mut socket, deep).expect("the session goes on");
    assert_eq!(code(&answer), -32700);
    assert_eq!(
        call(&mut socket, "getVM", json!({}))["result"]["name"],
        SECRET
    );
}

#[test]
fn a_message_that_is_too_large_ends_the_session() {
    let served = Served::start(false);
    let mut socket = authenticated(&served);
    assert!(send(&mut socket, " ".repeat((1 << 20) + 1)).is_none());
}

#[test]
fn binary_messages_end_the_session() {
    let served = Served::start(false);
    let mut socket = authenticated(&served);
    socket.send(Message::binary(vec![1])).expect("it is open");
    assert!(answer(&mut socket).is_none());
}

#[test]
fn a_session_that_may_only_read_changes_nothing() {
    let served = Served::start(false);
    let mut socket = authenticated(&served);
    let id = first_isolate(&mut socket);
    for method in [
        "pause", "resume", "kill", "ping", "drain", "resize", "recycle",
    ] {
        let answer = call(
            &mut socket,
            method,
            json!({ "isolateId": id, "poolId": "pools/1" }),
        );
        assert_eq!(code(&answer), 110, "{method}: {answer}");
    }
    assert_eq!(
        call(&mut socket, "getVM", json!({}))["result"]["canControl"],
        false
    );
    let isolate = call(&mut socket, "getIsolate", json!({ "isolateId": id }));
    assert_eq!(isolate["result"]["isolate"]["state"], "idle", "{isolate}");
}

fn first_isolate(socket: &mut Socket) -> String {
    let isolates = call(socket, "getIsolates", json!({}));
    let id = isolates["result"]["isolates"][0]["id"].as_str();
    id.expect("there is one").to_owned()
}

#[test]
fn an_isolate_is_paused_resumed_and_killed() {
    let served = Served::start(true);
    let mut socket = authenticated(&served);
    let id = first_isolate(&mut socket);
    let on = json!({ "isolateId": id });
    assert!(call(&mut socket, "ping", on.clone())["result"]["text"].is_string());
    call(&mut socket, "pause", on.clone());
    let paused = call(&mut socket, "getIsolate", on.clone());
    assert_eq!(paused["result"]["pauses"], 1, "{paused}");
    assert!(call(&mut socket, "resume", on.clone())["result"]["text"].is_string());
    // A second resume has nothing to end.
    assert_eq!(code(&call(&mut socket, "resume", on.clone())), 111);
    let resumed = call(&mut socket, "getIsolate", on.clone());
    assert_eq!(resumed["result"]["pauses"], 0, "{resumed}");
    assert!(call(&mut socket, "kill", on.clone())["result"]["text"].is_string());
    let begun = Instant::now();
    while served.runtime.isolate_count() != 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it lives");
        std::thread::yield_now();
    }
    assert_eq!(code(&call(&mut socket, "getIsolate", on)), 105);
}

#[test]
fn more_clients_than_there_are_places_are_refused_and_the_places_come_back() {
    let served = Served::start(false);
    let clients: Vec<_> = (0..super::super::CLIENTS)
        .map(|_| authenticated(&served))
        .collect();
    let url = format!("ws://{}/ws", served.host);
    let mut request = url.into_client_request().expect("it is an address");
    let bearer = format!("Bearer {}", served.token());
    let bearer = bearer.parse().expect("it is a value");
    request.headers_mut().insert("Authorization", bearer);
    let refused = tungstenite::client(request.clone(), served.connect());
    assert!(refused.is_err(), "a place is left");
    drop(clients);
    let begun = Instant::now();
    while tungstenite::client(request.clone(), served.connect()).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "no place came back"
        );
    }
}

#[test]
fn a_stream_tells_samples_and_events() {
    let served = Served::start(true);
    let mut socket = authenticated(&served);
    call(&mut socket, "streamListen", json!({ "streamId": "Sample" }));
    call(&mut socket, "streamListen", json!({ "streamId": "Events" }));
    let id = first_isolate(&mut socket);
    let params = json!({ "isolateId": id });
    let kill = json!({ "jsonrpc": "2.0", "id": 1, "method": "kill", "params": params });
    // The event may come before the answer, so nothing is skipped until the answer has come.
    let sent = socket.send(Message::text(kill.to_string()));
    sent.expect("it is sent");
    std::thread::scope(|scope| {
        // What the thread of an inspector does each second.
        scope.spawn(|| served.program.tick());
    });
    let (mut sample, mut event) = (false, false);
    while !(sample && event) {
        let message = socket.read().expect("it is told");
        let value: Value =
            serde_json::from_str(message.to_text().expect("it is text")).expect("it is JSON");
        match value["params"]["streamId"].as_str() {
            Some("Sample") => sample = true,
            Some("Events") => event |= value.to_string().contains("to end"),
            _ => {}
        }
    }
}

#[test]
fn the_end_of_the_server_ends_its_sessions() {
    let served = Served::start(false);
    let mut socket = authenticated(&served);
    served.server.stop();
    assert!(answer(&mut socket).is_none());
}

#[test]
fn those_that_have_not_shown_the_token_take_no_place_of_those_that_have() {
    let served = Served::start(false);
    let guests: Vec<_> = (0..super::super::GUESTS).map(|_| open(&served)).collect();
    let url = format!("ws://{}/ws", served.host);
    let mut request = url.into_client_request().expect("it is an address");
    let bearer = format!("Bearer {}", served.token());
    let bearer = bearer.parse().expect("it is a value");
    request.headers_mut().insert("Authorization", bearer);
    let known = tungstenite::client(request, served.connect());
    let mut known = known.expect("there is a place").0;
    assert_eq!(
        call(&mut known, "getVM", json!({}))["result"]["name"],
        SECRET
    );
    drop(guests);
}

#[test]
fn a_profile_whose_client_has_gone_gives_its_place_back() {
    let served = Served::start(false);
    let clients = (0..super::super::CLIENTS).map(|_| authenticated(&served));
    let mut clients: Vec<_> = clients.collect();
    let profile = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "profile",
        "params": { "seconds": 60 },
    });
    for client in &mut clients {
        let profile = Message::text(profile.to_string());
        client.send(profile).expect("it is open");
    }
    drop(clients);
    let begun = Instant::now();
    loop {
        let mut socket = open(&served);
        let token = json!({ "token": served.token() });
        if call(&mut socket, "authenticate", token)["result"].is_object() {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no place came back"
        );
    }
}
