//! The client against servers that behave and servers that do not.

mod server;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::Message;

use super::{Address, AddressError, Client, ClientError, Notification};
use crate::model::{Done, Pools};
use server::{Peer, TOKEN, answer, request, serve};

/// Long enough for a loaded machine, where no test waits for it.
const LONG: Duration = Duration::from_secs(30);

const SHORT: Duration = Duration::from_millis(200);

fn connect(address: &str) -> Result<Client, ClientError> {
    Client::connect(&Address::parse(address).unwrap(), LONG)
}

#[test]
fn addresses_as_programs_print_them_are_read() {
    for (text, host, shown) in [
        (
            "http://127.0.0.1:40123/#abc",
            "127.0.0.1:40123",
            "http://127.0.0.1:40123/",
        ),
        (
            "http://127.0.0.1:80#abc",
            "127.0.0.1:80",
            "http://127.0.0.1:80/",
        ),
        ("http://[::1]:80/#abc", "[::1]:80", "http://[::1]:80/"),
        (
            "http://localhost:80/#abc",
            "localhost:80",
            "http://localhost:80/",
        ),
        (
            " http://127.0.0.1:80/#abc\n",
            "127.0.0.1:80",
            "http://127.0.0.1:80/",
        ),
    ] {
        let address = Address::parse(text).unwrap();
        assert_eq!(address.host(), host, "{text}");
        assert_eq!(address.to_string(), shown, "{text}");
        assert!(!format!("{address:?}").contains("abc"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_path_of_a_socket_may_have_the_sign_of_the_token() {
    let address = Address::parse("unix:/run/user/1/a#b.sock#abc").unwrap();
    let path = address.socket().unwrap();
    assert_eq!(path, std::path::Path::new("/run/user/1/a#b.sock"));
    assert_eq!(address.host(), "localhost");
}

#[test]
fn each_wrong_address_is_told_what_is_wrong() {
    let long = format!("http://127.0.0.1:80/#{}", "a".repeat(257));
    for (text, error) in [
        ("", AddressError::Scheme),
        ("127.0.0.1:80/#abc", AddressError::Scheme),
        ("https://127.0.0.1:80/#abc", AddressError::Scheme),
        ("http://127.0.0.1:80/", AddressError::NoToken),
        ("http://127.0.0.1:80/#", AddressError::NoToken),
        ("unix:/a.sock", AddressError::NoToken),
        ("http://127.0.0.1:80/#a\r\nHost: b", AddressError::Token),
        ("http://127.0.0.1:80/#a b", AddressError::Token),
        (long.as_str(), AddressError::Token),
        ("http://127.0.0.1/#abc", AddressError::Host),
        ("http://127.0.0.1:0/#abc", AddressError::Host),
        ("http://127.0.0.1:65536/#abc", AddressError::Host),
        ("http://:80/#abc", AddressError::Host),
        ("http:///#abc", AddressError::Host),
        ("http://192.168.0.1:80/#abc", AddressError::Remote),
        ("http://0.0.0.0:80/#abc", AddressError::Remote),
        ("http://example.org:80/#abc", AddressError::Remote),
        ("http://127.0.0.1@example.org:80/#abc", AddressError::Remote),
        ("http://127.0.0.1:80/ws#abc", AddressError::Path),
        ("unix:a.sock#abc", AddressError::Socket),
        ("unix:#abc", AddressError::Socket),
    ] {
        assert_eq!(Address::parse(text), Err(error), "{text}");
        // What is wrong, and what to do.
        assert!(error.to_string().contains("; "), "{error}");
    }
}

#[test]
fn a_connection_has_the_token_and_the_host_that_the_server_expects() {
    let (address, server) = serve(|mut peer| {
        assert_eq!(peer.authorization, format!("Bearer {TOKEN}"));
        assert_eq!(peer.host, peer.address);
        let asked = request(&mut peer);
        assert_eq!(asked["method"], "getPools");
        answer(&mut peer, &asked, json!({ "pools": [{ "name": "a" }] }));
    });
    let mut client = connect(&address).unwrap();
    let pools: Pools = client.call("getPools", json!({})).unwrap();
    assert_eq!(pools.pools[0].name, "a");
    server.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_an_address_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inspector.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        let text = socket.read().unwrap().into_text().unwrap();
        let asked: Value = serde_json::from_str(&text).unwrap();
        let version = json!({ "major": 1, "minor": 9 });
        let reply = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": version });
        socket.send(Message::text(reply.to_string())).unwrap();
    });
    connect(&format!("unix:{}#{TOKEN}", path.display())).unwrap();
    server.join().unwrap();
}

#[test]
fn what_refuses_or_is_no_inspector_is_told_apart() {
    for (reply, wanted) in [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", "refuses the token"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "refuses the token"),
        ("HTTP/1.1 503 Unavailable\r\n\r\n", "as many connections"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "status 200"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "no inspector"),
        ("", "connection has ended"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            stream.write_all(reply.as_bytes()).unwrap();
        });
        let error = connect(&format!("http://{place}/#{TOKEN}")).unwrap_err();
        assert!(error.to_string().contains(wanted), "{reply:?}: {error}");
        assert!(error.advice().is_some(), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn an_address_at_which_nothing_listens_is_named() {
    // The port was free a moment ago, and nothing else takes it at once.
    let place = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = connect(&format!("http://{place}/#{TOKEN}")).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&place.to_string()), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    let (address, server) = server::serve_raw(|mut peer| {
        let asked = request(&mut peer);
        answer(&mut peer, &asked, json!({ "major": 2, "minor": 0 }));
    });
    let error = connect(&address).unwrap_err();
    assert!(matches!(error, ClientError::Version { .. }), "{error}");
    server.join().unwrap();
}

#[test]
fn a_server_that_sends_a_byte_now_and_then_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let reply = "HTTP/1.1 101 Switching Protocols\r\nx: ".bytes();
        for byte in reply.chain(std::iter::repeat(b'y')) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let start = Instant::now();
    let address = Address::parse(&format!("http://{place}/#{TOKEN}")).unwrap();
    let error = Client::connect(&address, SHORT).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    assert!(start.elapsed() < LONG);
    server.join().unwrap();
}

#[test]
fn an_answer_that_comes_too_late_is_no_answer_to_the_next_call() {
    let (address, server) = serve(|mut peer| {
        let first = request(&mut peer);
        let second = request(&mut peer);
        answer(&mut peer, &first, json!({ "text": "first" }));
        answer(&mut peer, &second, json!({ "text": "second" }));
    });
    let mut client = connect(&address).unwrap();
    let error = client
        .call_within::<Done>("pause", json!({}), SHORT)
        .unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    let done: Done = client.call("resume", json!({})).unwrap();
    assert_eq!(done.text, "second");
    server.join().unwrap();
}

#[test]
fn notifications_before_an_answer_are_kept_and_then_dropped_and_counted() {
    let (address, server) = serve(|mut peer| {
        let asked = request(&mut peer);
        for number in 1..=super::MAX_NOTIFICATIONS + 3 {
            let event = json!({ "events": [{ "number": number }], "dropped": 0 });
            peer.notify("Events", &event);
        }
        peer.notify("Weather", &json!({ "rain": true }));
        answer(&mut peer, &asked, json!({}));
        peer.notify("Sample", &json!({ "atMs": 5 }));
        let _ = request(&mut peer);
    });
    let mut client = connect(&address).unwrap();
    client.listen("Events").unwrap();
    assert_eq!(client.take_missed(), 3);
    assert_eq!(client.take_missed(), 0);
    let mut numbers = Vec::new();
    for _ in 0..super::MAX_NOTIFICATIONS {
        match client.next_notification(LONG).unwrap() {
            Some(Notification::Events(events)) => numbers.push(events.events[0].number),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(numbers.first(), Some(&4));
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    match client.next_notification(LONG).unwrap() {
        Some(Notification::Sample(sample)) => assert_eq!(sample.at_ms, 5),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.next_notification(SHORT).unwrap(), None);
    drop(client);
    server.join().unwrap();
}

#[test]
fn the_errors_of_the_protocol_keep_their_meaning() {
    let (address, server) = serve(|mut peer| {
        for code in [105, 110, 111, -32_601] {
            let asked = request(&mut peer);
            peer.reply(&json!({
                "jsonrpc": "2.0",
                "id": asked["id"],
                "error": { "code": code, "message": "isolates/1 has ended" },
            }));
        }
    });
    let mut client = connect(&address).unwrap();
    let mut next = || client.call::<Done>("kill", json!({})).unwrap_err();
    let texts: Vec<_> = std::iter::repeat_with(|| next().to_string())
        .take(4)
        .collect();
    assert_eq!(
        texts,
        [
            "isolates/1 has ended",
            "the connection may only read; start the program with control",
            "isolates/1 has ended",
            "isolates/1 has ended",
        ]
    );
    server.join().unwrap();
}

#[test]
fn messages_that_make_no_sense_are_errors() {
    let deep = "[".repeat(200_000);
    for reply in [
        Message::text("no JSON"),
        Message::text("{}"),
        Message::text("[]"),
        Message::text(deep),
        Message::text(r#"{"id":999,"result":{}}"#),
        Message::text(r#"{"id":"2","result":{}}"#),
        Message::text(r#"{"id":2}"#),
        Message::text(r#"{"id":2,"result":null}"#),
        Message::text(r#"{"id":2,"result":{"pools":7}}"#),
        Message::text(r#"{"id":2,"result":{"pools":[{"queued":-1}]}}"#),
        Message::text(r#"{"method":"streamNotify","params":7}"#),
        Message::text(r#"{"method":"streamNotify","params":{"streamId":"Sample","event":7}}"#),
        Message::binary(vec![0, 159, 146, 150]),
    ] {
        let sent = reply.clone();
        let (address, server) = serve(move |mut peer| {
            let _ = request(&mut peer);
            peer.send(sent);
        });
        let mut client = connect(&address).unwrap();
        let error = client.call::<Pools>("getPools", json!({})).unwrap_err();
        assert!(
            matches!(error, ClientError::Broken { .. }),
            "{error} for {reply:?}"
        );
        server.join().unwrap();
    }
}

#[test]
fn a_message_that_is_too_large_is_not_read() {
    let (address, server) = serve(|mut peer| {
        let _ = request(&mut peer);
        peer.try_send(Message::text(" ".repeat(super::MAX_MESSAGE + 1)));
    });
    let mut client = connect(&address).unwrap();
    let error = client.call::<Pools>("getPools", json!({})).unwrap_err();
    assert!(matches!(error, ClientError::TooLarge), "{error}");
    drop(client);
    server.join().unwrap();
}

#[test]
fn a_program_that_ends_is_told_from_one_that_fails() {
    let (address, server) = serve(|mut peer| {
        let _ = request(&mut peer);
    });
    let mut client = connect(&address).unwrap();
    let error = client.call::<Pools>("getPools", json!({})).unwrap_err();
    assert!(matches!(error, ClientError::Ended), "{error}");
    // It stays so.
    let error = client.call::<Pools>("getPools", json!({})).unwrap_err();
    assert!(
        matches!(error, ClientError::Ended | ClientError::Io(_)),
        "{error}"
    );
    server.join().unwrap();
}

#[test]
fn no_bytes_after_the_upgrade_are_a_panic() {
    // Each seed is another stream of bytes, the first of which is often a plausible frame.
    for seed in 1..=60_u64 {
        let (address, server) = serve(move |peer: Peer| {
            let mut stream: TcpStream = peer.into_stream();
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut bytes = Vec::new();
            for _ in 0..512 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                bytes.push(state.to_le_bytes()[3]);
            }
            bytes[0] = [0x81, 0x82, 0x89, 0x88, 0x01, bytes[0]][usize::from(bytes[1]) % 6];
            bytes[1] &= 0x7f;
            let _ = stream.write_all(&bytes);
        });
        let mut client = connect(&address).unwrap();
        while client.next_notification(LONG).is_ok() {}
        assert!(client.call::<Pools>("getPools", json!({})).is_err());
        server.join().unwrap();
    }
}
