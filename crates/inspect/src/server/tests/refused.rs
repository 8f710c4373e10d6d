//! Requests of attackers, all of which are refused.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::{SECRET, Served};
#[cfg(unix)]
use crate::start::Listen;

/// A request without a body. The lines end in CR LF, and `{host}` and so on are filled in.
fn head(lines: &[&str]) -> String {
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

/// An upgrade to a session with further lines.
fn upgrade(lines: &[&str]) -> String {
    let mut all = vec![
        "GET /ws HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    all.extend(lines);
    head(&all)
}

const BEARER: &str = "Authorization: Bearer {token}";
const HOST: &str = "Host: {host}";

/// Each request with its name and the status that it gets.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn matrix() -> Vec<(&'static str, String, u16)> {
    let long = "x".repeat(9_000);
    let many: Vec<_> = (0..100).map(|number| format!("X-{number}: 1")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let mut matrix = vec![
        // Without the token, or with a wrong one.
        (
            "metrics without a token",
            head(&["GET /metrics HTTP/1.1", HOST]),
            403,
        ),
        (
            "metrics with an empty token",
            head(&["GET /metrics HTTP/1.1", HOST, "Authorization: Bearer "]),
            403,
        ),
        (
            "a token with one digit less",
            head(&[
                "GET /metrics HTTP/1.1",
                HOST,
                "Authorization: Bearer {token",
            ]),
            403,
        ),
        (
            "a token with more behind it",
            head(&[
                "GET /metrics HTTP/1.1",
                HOST,
                "Authorization: Bearer {token}0",
            ]),
            403,
        ),
        (
            "another token",
            head(&[
                "GET /metrics HTTP/1.1",
                HOST,
                &format!("Authorization: Bearer {}", "0".repeat(64)),
            ]),
            403,
        ),
        (
            "a token as basic credentials",
            head(&[
                "GET /metrics HTTP/1.1",
                HOST,
                "Authorization: Basic {token}",
            ]),
            403,
        ),
        (
            "a token without a scheme",
            head(&["GET /metrics HTTP/1.1", HOST, "Authorization: {token}"]),
            403,
        ),
        (
            "two tokens",
            head(&["GET /metrics HTTP/1.1", HOST, BEARER, BEARER]),
            403,
        ),
        (
            "a token in a cookie",
            head(&["GET /metrics HTTP/1.1", HOST, "Cookie: token={token}"]),
            403,
        ),
        (
            "a token in the path",
            head(&["GET /metrics?token={token} HTTP/1.1", HOST]),
            404,
        ),
        (
            "a token as a fragment",
            head(&["GET /metrics#{token} HTTP/1.1", HOST]),
            404,
        ),
        (
            "a session without a token or an origin",
            upgrade(&[HOST]),
            403,
        ),
        (
            "a session with a wrong token",
            upgrade(&[HOST, "Authorization: Bearer 0"]),
            403,
        ),
        (
            "a session with a wrong token and the right origin",
            upgrade(&[HOST, "Origin: http://{host}", "Authorization: Bearer 0"]),
            403,
        ),
        (
            "a token as a subprotocol",
            upgrade(&[HOST, "Sec-WebSocket-Protocol: {token}"]),
            403,
        ),
        // Names that were rebound to the loopback address, and other hosts.
        (
            "another host",
            head(&["GET / HTTP/1.1", "Host: evil.example"]),
            403,
        ),
        (
            "another host with the port",
            head(&["GET / HTTP/1.1", "Host: evil.example:{port}"]),
            403,
        ),
        (
            "another host with the token",
            head(&["GET /metrics HTTP/1.1", "Host: evil.example:{port}", BEARER]),
            403,
        ),
        (
            "a session of another host",
            upgrade(&[
                "Host: evil.example:{port}",
                "Origin: http://evil.example:{port}",
                BEARER,
            ]),
            403,
        ),
        (
            "a host that begins like the own one",
            head(&["GET / HTTP/1.1", "Host: {host}.evil.example"]),
            403,
        ),
        (
            "a host that ends like the own one",
            head(&["GET / HTTP/1.1", "Host: evil.{host}"]),
            403,
        ),
        (
            "a host with a user",
            head(&["GET / HTTP/1.1", "Host: user@{host}"]),
            403,
        ),
        (
            "a host with a dot at its end",
            head(&["GET / HTTP/1.1", "Host: localhost.:{port}"]),
            403,
        ),
        (
            "a host in capitals",
            head(&["GET / HTTP/1.1", "Host: LOCALHOST:{port}"]),
            403,
        ),
        (
            "another notation of the address",
            head(&["GET / HTTP/1.1", "Host: 2130706433:{port}"]),
            403,
        ),
        (
            "a short notation of the address",
            head(&["GET / HTTP/1.1", "Host: 127.1:{port}"]),
            403,
        ),
        (
            "the unspecified address",
            head(&["GET / HTTP/1.1", "Host: 0.0.0.0:{port}"]),
            403,
        ),
        (
            "another port",
            head(&["GET / HTTP/1.1", "Host: 127.0.0.1:1"]),
            403,
        ),
        ("no port", head(&["GET / HTTP/1.1", "Host: 127.0.0.1"]), 403),
        ("an empty host", head(&["GET / HTTP/1.1", "Host: "]), 403),
        ("no host", head(&["GET / HTTP/1.1"]), 400),
        (
            "two hosts",
            head(&["GET / HTTP/1.1", HOST, "Host: evil.example"]),
            400,
        ),
        (
            "the right host twice",
            head(&["GET / HTTP/1.1", HOST, HOST]),
            400,
        ),
        (
            "a host that is no text",
            "GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n".to_owned(),
            403,
        ),
        // Pages of other sites.
        (
            "a session of another origin",
            upgrade(&[HOST, "Origin: http://evil.example"]),
            403,
        ),
        (
            "another origin with the token",
            upgrade(&[HOST, "Origin: http://evil.example", BEARER]),
            403,
        ),
        (
            "metrics for another origin",
            head(&[
                "GET /metrics HTTP/1.1",
                HOST,
                "Origin: http://evil.example",
                BEARER,
            ]),
            403,
        ),
        (
            "the page for another origin",
            head(&["GET / HTTP/1.1", HOST, "Origin: http://evil.example"]),
            403,
        ),
        (
            "an origin of another scheme",
            upgrade(&[HOST, "Origin: https://{host}"]),
            403,
        ),
        (
            "an origin of another port",
            upgrade(&[HOST, "Origin: http://127.0.0.1:1"]),
            403,
        ),
        ("the origin null", upgrade(&[HOST, "Origin: null"]), 403),
        ("an empty origin", upgrade(&[HOST, "Origin: "]), 403),
        (
            "an origin of a file",
            upgrade(&[HOST, "Origin: file://"]),
            403,
        ),
        (
            "an origin with a path",
            upgrade(&[HOST, "Origin: http://{host}/"]),
            403,
        ),
        (
            "two origins",
            upgrade(&[HOST, "Origin: http://{host}", "Origin: http://evil.example"]),
            400,
        ),
        (
            "a question for permission",
            head(&[
                "OPTIONS /metrics HTTP/1.1",
                HOST,
                "Origin: http://evil.example",
                "Access-Control-Request-Method: GET",
            ]),
            403,
        ),
        // Methods and bodies.
        (
            "a post",
            head(&["POST /metrics HTTP/1.1", HOST, BEARER]),
            405,
        ),
        ("a post to the page", head(&["POST / HTTP/1.1", HOST]), 405),
        (
            "a head",
            head(&["HEAD /metrics HTTP/1.1", HOST, BEARER]),
            405,
        ),
        ("a trace", head(&["TRACE / HTTP/1.1", HOST]), 405),
        ("a connect", head(&["CONNECT {host} HTTP/1.1", HOST]), 404),
        (
            "a body",
            format!(
                "{}hello",
                head(&["GET /metrics HTTP/1.1", HOST, BEARER, "Content-Length: 5"])
            ),
            400,
        ),
        (
            "a body in chunks",
            head(&[
                "GET /metrics HTTP/1.1",
                HOST,
                BEARER,
                "Transfer-Encoding: chunked",
            ]),
            400,
        ),
        (
            "two lengths",
            head(&[
                "GET / HTTP/1.1",
                HOST,
                "Content-Length: 0",
                "Content-Length: 5",
            ]),
            400,
        ),
        // Paths.
        (
            "a path with dots",
            head(&["GET /../../etc/passwd HTTP/1.1", HOST]),
            404,
        ),
        (
            "a path with escaped dots",
            head(&["GET /%2e%2e/etc/passwd HTTP/1.1", HOST]),
            404,
        ),
        (
            "a path with a backslash",
            head(&["GET /..\\app.js HTTP/1.1", HOST]),
            404,
        ),
        (
            "a path with two slashes",
            head(&["GET //app.js HTTP/1.1", HOST]),
            404,
        ),
        (
            "a path with a query",
            head(&["GET /?x=1 HTTP/1.1", HOST]),
            404,
        ),
        (
            "a whole address as a path",
            head(&["GET http://{host}/metrics HTTP/1.1", HOST, BEARER]),
            404,
        ),
        (
            "an escaped path",
            head(&["GET /%6detrics HTTP/1.1", HOST, BEARER]),
            404,
        ),
        (
            "a path in capitals",
            head(&["GET /METRICS HTTP/1.1", HOST, BEARER]),
            404,
        ),
        (
            "a path below another one",
            head(&["GET /metrics/ HTTP/1.1", HOST, BEARER]),
            404,
        ),
        (
            "a path that is markup",
            head(&["GET /<script>alert(1)</script> HTTP/1.1", HOST]),
            404,
        ),
        (
            "a path with a zero",
            "GET /\0 HTTP/1.1\r\nHost: {host}\r\n\r\n".to_owned(),
            400,
        ),
        // Heads that are none.
        ("no request at all", "hello\r\n\r\n".to_owned(), 400),
        ("an old version", head(&["GET / HTTP/1.0", HOST]), 400),
        (
            "a version that there is not",
            head(&["GET / HTTP/9.9", HOST]),
            400,
        ),
        (
            "a head of another protocol",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a greeting of TLS",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a folded line",
            "GET / HTTP/1.1\r\nHost: {host}\r\n folded\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a name with a space",
            "GET / HTTP/1.1\r\nHost : {host}\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a zero in a value",
            "GET / HTTP/1.1\r\nHost: {host}\0\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a line that never ends",
            format!("GET / HTTP/1.1\r\nX: {long}"),
            431,
        ),
        ("a path that never ends", format!("GET /{long}"), 431),
        // Sessions that are none.
        (
            "a session without an upgrade",
            head(&["GET /ws HTTP/1.1", HOST, BEARER]),
            426,
        ),
        (
            "another version of the protocol",
            head(&[
                "GET /ws HTTP/1.1",
                HOST,
                BEARER,
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 8",
                "Sec-WebSocket-Key: x",
            ]),
            426,
        ),
        (
            "an upgrade to something else",
            head(&[
                "GET /ws HTTP/1.1",
                HOST,
                BEARER,
                "Connection: Upgrade",
                "Upgrade: h2c",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: x",
            ]),
            426,
        ),
        (
            "a session without a key",
            head(&[
                "GET /ws HTTP/1.1",
                HOST,
                BEARER,
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
            ]),
            426,
        ),
    ];
    let mut lines = vec!["GET / HTTP/1.1", HOST];
    lines.extend(many);
    matrix.push(("many lines", head(&lines), 431));
    matrix
}

fn status(answer: &str) -> Option<u16> {
    let rest = answer.strip_prefix("HTTP/1.1 ")?;
    rest.split(' ').next()?.parse().ok()
}

#[test]
fn every_request_of_the_matrix_is_refused_and_told_nothing() {
    refuses_all(&Served::start(true));
}

#[cfg(unix)]
#[test]
fn every_request_of_the_matrix_is_refused_over_a_socket_with_a_path() {
    let folder = tempfile::tempdir().expect("there is a folder");
    let listen = Listen::Unix(folder.path().join("socket"));
    refuses_all(&Served::on(&listen, true));
}

fn refuses_all(served: &Served) {
    let matrix = matrix();
    assert!(matrix.len() >= 60, "{} requests", matrix.len());
    for (name, request, expected) in matrix {
        let answer = served.send(served.filled(&request).as_bytes());
        assert_eq!(status(&answer), Some(expected), "{name}: {answer}");
        assert!(!answer.contains(SECRET), "{name} was told: {answer}");
        assert!(!answer.contains(served.token()), "{name} got the token");
        let permits = answer.to_ascii_lowercase().contains("access-control-");
        assert!(!permits, "{name} was permitted to another origin");
    }
}

#[test]
fn what_is_right_is_served() {
    let served = Served::start(false);
    let with_token = served.filled(&head(&["GET /metrics HTTP/1.1", HOST, BEARER]));
    let answer = served.send(with_token.as_bytes());
    assert_eq!(status(&answer), Some(200), "{answer}");
    assert!(
        answer.contains("insula_isolates{state=\"idle\"} 1"),
        "{answer}"
    );
    for host in ["{host}", "localhost:{port}"] {
        let page = served.filled(&head(&["GET / HTTP/1.1", &format!("Host: {host}")]));
        let answer = served.send(page.as_bytes());
        assert_eq!(status(&answer), Some(200), "{answer}");
        assert!(
            answer.contains(
                "Content-Security-Policy: default-src 'none'; script-src 'self' 'sha256-"
            ),
            "{answer}"
        );
        assert!(answer.contains("; style-src 'sha256-"), "{answer}");
        assert!(!answer.contains("unsafe-"), "{answer}");
        assert!(answer.contains("nosniff"), "{answer}");
        assert!(
            !answer.contains(SECRET),
            "the page holds nothing of the program"
        );
    }
}

/// Only the address bar of a browser says that no page has asked.
#[test]
fn a_page_is_parted_from_the_one_that_has_opened_it() {
    let served = Served::start(false);
    let is_parted = |lines: &[&str]| {
        let request = [&["GET / HTTP/1.1", HOST], lines].concat();
        let answer = served.send(served.filled(&head(&request)).as_bytes());
        assert_eq!(status(&answer), Some(200), "{answer}");
        answer.contains("Cross-Origin-Opener-Policy: same-origin\r\n")
    };
    assert!(is_parted(&[]));
    for site in [
        "cross-site",
        "same-site",
        "same-origin",
        "",
        "None",
        "none, none",
    ] {
        assert!(is_parted(&[&format!("Sec-Fetch-Site: {site}")]), "{site}");
    }
    let none = "Sec-Fetch-Site: none";
    assert!(is_parted(&[none, "Sec-Fetch-Site: cross-site"]));
    assert!(!is_parted(&[none]));
}

#[test]
fn the_name_of_the_scheme_may_have_any_letters() {
    let served = Served::start(false);
    let request = [
        "GET /metrics HTTP/1.1",
        HOST,
        "Authorization: bearer {token}",
    ];
    let answer = served.send(served.filled(&head(&request)).as_bytes());
    assert_eq!(status(&answer), Some(200), "{answer}");
}

#[test]
fn a_slow_head_is_cut_off() {
    let served = Served::start(false);
    let mut stream = served.connect();
    let begun = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\n").expect("it is open");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert_eq!(status(&answer), Some(408), "{answer}");
    assert!(
        begun.elapsed() >= Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_client_that_says_nothing_keeps_no_other_one_out() {
    let served = Served::start(false);
    let silent: Vec<_> = (0..super::super::CONNECTIONS - 1)
        .map(|_| served.connect())
        .collect();
    let metrics = served.filled(&head(&["GET /metrics HTTP/1.1", HOST, BEARER]));
    assert_eq!(status(&served.send(metrics.as_bytes())), Some(200));
    drop(silent);
}

#[test]
fn more_connections_than_there_are_places_are_closed_and_the_places_come_back() {
    let served = Served::start(false);
    let silent: Vec<_> = (0..super::super::CONNECTIONS)
        .map(|_| served.connect())
        .collect();
    let metrics = served.filled(&head(&["GET /metrics HTTP/1.1", HOST, BEARER]));
    // The places of those above are taken by threads of their own, after a moment.
    let is_closed = || served.send(metrics.as_bytes()).is_empty();
    assert!(within_a_while(is_closed), "a place is left");
    drop(silent);
    let is_served = || status(&served.send(metrics.as_bytes())) == Some(200);
    assert!(within_a_while(is_served), "no place came back");
}

/// Returns whether something becomes true soon.
fn within_a_while(is_true: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        if is_true() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}
