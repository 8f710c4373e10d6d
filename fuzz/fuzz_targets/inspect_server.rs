//! What a client sends to an inspector: the head of a request, the frames of a WebSocket, and the
//! requests in them.
#![no_main]

use std::cell::OnceCell;

use insula_fuzz::{Script, Steps, plant};
use insula_inspect::fuzzing::Inspected;
use libfuzzer_sys::fuzz_target;

/// Stands for the token in an input, which has as many bytes.
const TOKEN: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The most bytes of an input: what a socket has room for.
const MOST: usize = 1 << 16;

thread_local! {
    static INSPECTED: OnceCell<Inspected> = const { OnceCell::new() };
}

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        let bytes = stream(Script::new(input));
        if bytes.len() <= MOST {
            INSPECTED.with(|it| serve(it.get_or_init(start), &bytes));
        }
    }
);

fn start() -> Inspected {
    let name = format!("insula-fuzz-{}.sock", std::process::id());
    Inspected::start(&std::env::temp_dir().join(name)).expect("it can listen")
}

fn serve(inspected: &Inspected, bytes: &[u8]) {
    let has_token = bytes.windows(TOKEN.len()).any(|it| it == TOKEN);
    let bytes = replace(bytes, inspected.token().as_bytes());
    let answer = inspected.serve(&bytes).expect("there are sockets");
    let text = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || text.starts_with("HTTP/1.1 "), "{text}");
    if !has_token {
        // Nothing of the program is told without the token.
        assert!(
            !text.contains("inspected") && !text.contains("\"result\""),
            "{text}"
        );
    }
}

fn replace(bytes: &[u8], token: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(TOKEN.len()).position(|it| it == TOKEN) {
        at += found;
        bytes[at..at + TOKEN.len()].copy_from_slice(token);
        at += TOKEN.len();
    }
    bytes
}

/// Joins what a client sends: bytes, a whole head, and frames with texts.
fn stream(mut script: Script<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(step) = script.kind() {
        match step {
            0 => bytes.extend(script.bytes()),
            1 => bytes.extend(head().as_bytes()),
            // A frame that is as it should be: masked, with zeros.
            2 => {
                let (kind, body) = (script.byte(), script.bytes());
                let body = &body[..body.len().min(125)];
                bytes.extend([kind, 0x80 | body.len() as u8, 0, 0, 0, 0]);
                bytes.extend(body);
            }
            // A longer one.
            3 => {
                let body = script.bytes();
                bytes.extend([0x81, 0x80 | 126]);
                bytes.extend((body.len() as u16).to_be_bytes());
                bytes.extend([0; 4]);
                bytes.extend(body);
            }
            _ => {}
        }
    }
    bytes
}

fn head() -> String {
    let token = String::from_utf8_lossy(TOKEN);
    format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    )
}

fn seeds() -> Vec<Vec<u8>> {
    let page = Steps::new()
        .step(&[0])
        .bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let metrics = head().replace("/ws", "/metrics");
    let metrics = Steps::new().step(&[0]).bytes(metrics.as_bytes());
    let mut seeds = vec![page.end(), metrics.end()];
    for call in [
        r#""getVersion""#,
        r#""getVM""#,
        r#""getIsolates","params":{"sort":"-name","limit":9,"state":"idle","ports":true}"#,
        r#""getIsolate","params":{"isolateId":"isolates/1"}"#,
        r#""getPorts","params":{"isolateId":"isolates/1"}"#,
        r#""getThreads""#,
        r#""getMailboxes""#,
        r#""getWaits""#,
        r#""getPools""#,
        r#""getPool","params":{"poolId":"pools/1"}"#,
        r#""getHistory","params":{"limit":3}"#,
        r#""getEvents","params":{"since":1,"limit":3}"#,
        r#""getRecording","params":{"limit":3}"#,
        r#""streamListen","params":{"streamId":"Events"}"#,
        r#""streamListen","params":{"streamId":"Calls","slowerThanMs":3}"#,
        r#""streamCancel","params":{"streamId":"Sample"}"#,
        r#""kill","params":{"isolateId":"isolates/1"}"#,
        r#""authenticate","params":{"token":"no"}"#,
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{call}}}"#);
        let steps = Steps::new().step(&[1, 3]).bytes(text.as_bytes());
        seeds.push(steps.step(&[2, 0x88]).bytes(&[3, 232]).end());
    }
    // In two fragments, with a ping between.
    let parts = Steps::new()
        .step(&[1, 2, 1])
        .bytes(b"{\"a\"")
        .step(&[2, 0x89])
        .bytes(b"?");
    seeds.push(parts.step(&[2, 0x80]).bytes(b":1}").end());
    seeds
}
