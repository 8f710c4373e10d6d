//! Tests of the bytes of messages.

use insula_rpc::wire::MOST_BYTES;

use super::*;

#[test]
fn a_message_is_read_as_it_was_written() {
    for kind in 1..=7 {
        let message = Message {
            kind: Kind::of(kind).unwrap(),
            left: 3,
            number: u64::MAX,
            taken: 1 << 40,
            body: b"some bytes",
        };
        assert_eq!(Message::read(&message.write()), Ok(message));
    }
}

#[test]
fn bytes_that_are_no_message_are_refused_and_nothing_panics() {
    let message = Message {
        kind: Kind::Part,
        left: 0,
        number: 0,
        taken: 0,
        body: b"",
    };
    let bytes = message.write();
    for len in 0..HEAD {
        assert_eq!(Message::read(&bytes[..len]), Err(Unreadable));
    }
    for (at, byte) in [(0, 0), (0, 2), (1, 0), (1, 8), (1, 255)] {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        assert_eq!(Message::read(&bytes), Err(Unreadable));
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..100_000 {
        let bytes: Vec<u8> = (0..random.usize(0..64)).map(|_| random.u8(0..9)).collect();
        if let Ok(message) = Message::read(&bytes) {
            assert_eq!(message.write(), bytes);
        }
        if let Ok(opening) = Opening::read(&bytes) {
            assert_eq!(opening.write(), bytes);
        }
    }
}

#[test]
fn a_reason_is_a_short_line_whatever_it_was() {
    let message = Message {
        kind: Kind::End,
        left: 0,
        number: 0,
        taken: 0,
        body: b"it is\r\n over \xff",
    };
    assert_eq!(message.reason(), "it is over \u{fffd}");
    let long = "x".repeat(1 << 20);
    let body = long.as_bytes();
    assert_eq!(Message { body, ..message }.reason().len(), TEXT);
    assert_eq!(reason(&long).len(), TEXT);
}

#[test]
fn a_request_for_a_link_is_read_as_it_was_written() {
    let hello = Hello {
        protocol: 1,
        contract: "Sums".to_owned(),
        version: 2,
        schema: 3,
        most: MOST_BYTES as u64,
    };
    let opening = Opening {
        silence: Duration::from_secs(3),
        places: 4,
        grace: Duration::from_millis(50),
        most: hello.most,
        hello: write_hello(hello),
    };
    let bytes = opening.write();
    assert_eq!(Opening::read(&bytes), Ok(opening));
    // Of another version, cut off, without a hello, and too long.
    let mut other = bytes.clone();
    other[0] = 2;
    assert_eq!(Opening::read(&other), Err(Unreadable));
    for len in 0..bytes.len() {
        assert_eq!(Opening::read(&bytes[..len]), Err(Unreadable), "{len}");
    }
    let mut long = bytes;
    long.resize(MOST_OPENING + 1, 0);
    assert_eq!(Opening::read(&long), Err(Unreadable));
}
