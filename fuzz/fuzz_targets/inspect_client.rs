//! What an inspector sends to its client, and how tools find it: the frames of a WebSocket, the answers
//! in them, the address, and the file that announces it.
#![no_main]

use std::time::Duration;

use insula_fuzz::{Script, Steps, plant, within};
use insula_inspect::announce::Announcement;
use insula_inspect::client::Address;
use insula_inspect::fuzzing::{MOST_FOR_CLIENT, client};
use insula_inspect::model::{Events, Isolates, Pools, Version};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// The most bytes of an input: what a socket has room for.
const MOST: usize = 1 << 16;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        let mut script = Script::new(input);
        match script.kind() {
            Some(0) => listen(script),
            Some(1) => {
                if let Ok(text) = str::from_utf8(script.rest()) {
                    address(text);
                }
            }
            Some(2) => {
                let bytes = script.rest();
                let read = || serde_json::from_slice::<Announcement>(bytes);
                if let Ok(announcement) = within(bytes.len() * 8 + 4_096, read) {
                    let written = serde_json::to_vec(&announcement).expect("it can be written");
                    let again: Announcement = serde_json::from_slice(&written).expect("it was");
                    assert_eq!(again, announcement);
                }
            }
            _ => {}
        }
    }
);

fn listen(mut script: Script<'_>) {
    let kind = script.byte();
    let mut bytes = Vec::new();
    while let Some(step) = script.kind() {
        match step {
            0 => bytes.extend(script.bytes()),
            // A frame that is as it should be.
            _ => {
                let body = script.bytes();
                bytes.extend([0x81, 126]);
                bytes.extend((body.len() as u16).to_be_bytes());
                bytes.extend(body);
            }
        }
    }
    if bytes.len() > MOST {
        return;
    }
    let (mut client, _server) = client(&bytes).expect("there are sockets");
    let call = "call";
    // Texts become values, whose parts are allocated one by one.
    let most = MOST_FOR_CLIENT + (1 << 20) + bytes.len() * 256;
    within(most, || {
        let _ = match kind % 5 {
            0 => client.call::<Value>(call, json!({})).is_ok(),
            1 => client.call::<Version>(call, json!({})).is_ok(),
            2 => client.call::<Isolates>(call, json!({})).is_ok(),
            3 => client.call::<Pools>(call, json!({})).is_ok(),
            _ => client.call::<Events>(call, json!({})).is_ok(),
        };
        let second = Duration::from_secs(1);
        while let Ok(Some(_)) = client.next_notification(second) {}
    });
}

fn address(text: &str) {
    let Ok(address) = Address::parse(text) else {
        return;
    };
    // Without the token it is none, and with another one it is the same place.
    let shown = address.to_string();
    assert!(Address::parse(&shown).is_err() || address.socket().is_some());
    let again = Address::parse(&format!("{shown}#0123"));
    if let Ok(again) = again {
        assert_eq!(again.to_string(), shown);
    } else {
        // A path that is no text, or has spaces at its ends, is shown otherwise.
        assert!(address.socket().is_some());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"\x01http://127.0.0.1:40123/#0123456789abcdef".to_vec(),
        b"\x01http://[::1]:1/#a".to_vec(),
        b"\x01http://localhost:80#a".to_vec(),
        b"\x01unix:/path/to.sock#0123456789abcdef".to_vec(),
        b"\x02{\"name\":\"a\",\"pid\":7,\"address\":\"http://127.0.0.1:1/#a\"}".to_vec(),
    ];
    let answer = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    let note = |stream: &str, event: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"streamNotify","params":{{"streamId":"{stream}","event":{event}}}}}"#
        )
    };
    for (kind, text) in [
        (0, answer("[1,null,{}]")),
        (1, answer(r#"{"major":1,"minor":0}"#)),
        (2, answer(r#"{"total":0,"isolates":[]}"#)),
        (3, answer(r#"{"pools":[]}"#)),
        (4, answer(r#"{"newest":0,"dropped":0,"events":[]}"#)),
        (
            0,
            r#"{"id":1,"error":{"code":105,"message":"no"}}"#.to_owned(),
        ),
        (0, note("Events", r#"{"newest":0,"dropped":0,"events":[]}"#)),
        (0, note("Calls", r#"{"dropped":0,"calls":[]}"#)),
    ] {
        let steps = Steps::new().step(&[0, kind, 1]).bytes(text.as_bytes());
        seeds.push(steps.step(&[0]).bytes(&[0x88, 0]).end());
    }
    seeds
}
