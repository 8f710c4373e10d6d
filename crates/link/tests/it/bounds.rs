//! Risk: an honest side is taken for one that floods, or one that floods takes the memory.

use std::task::Waker;

use insula_link::{Origin, Settings, Violation};
use insula_rpc::wire::{Encoded, Frame, Hello, Link as _, MOST_BYTES, ToCaller};
use insula_rpc::{Progress, WINDOW};

use crate::service::SimRequest;

fn origin() -> Origin {
    let hello = Hello::of::<SimRequest>(MOST_BYTES);
    let settings = Settings {
        hello: hello.clone(),
        limits: MOST_BYTES.into(),
    };
    let origin = Origin::new(settings, Waker::noop().clone(), |_why| {});
    receive(&origin, Frame::Hello(hello)).unwrap();
    origin
}

fn receive(origin: &Origin, frame: Frame) -> Result<(), Violation> {
    origin.receive(frame.write())
}

/// A handler that reads an item, reports, writes an item and reports, again and again, beside a caller
/// that does not come to look.
#[test]
fn as_much_as_the_windows_allow_is_no_flood() {
    let origin = origin();
    let call = origin.open(Encoded::default()).unwrap();
    receive(&origin, Frame::Started { call }).unwrap();
    receive(
        &origin,
        message(call, ToCaller::Answer(Encoded::default(), None)),
    )
    .unwrap();
    for _ in 0..WINDOW {
        let round = [
            ToCaller::Credit(1),
            ToCaller::Progress(Progress::new(1)),
            ToCaller::Item(Encoded::default()),
            ToCaller::Progress(Progress::new(2)),
        ];
        for of_round in round {
            receive(&origin, message(call, of_round)).unwrap();
        }
    }
    receive(&origin, message(call, ToCaller::Closed)).unwrap();
    receive(&origin, message(call, ToCaller::End(Encoded::default()))).unwrap();
    assert!(!origin.is_lost());
}

#[test]
fn more_than_the_windows_allow_ends_the_link() {
    let origin = origin();
    let call = origin.open(Encoded::default()).unwrap();
    let flooded = (0..10 * WINDOW)
        .map(|_| receive(&origin, message(call, ToCaller::Item(Encoded::default()))))
        .find_map(Result::err);
    assert_eq!(flooded, Some(Violation::Flood { call }));
    assert!(origin.is_lost());
}

/// Of these only the sum, or the last one, is kept.
#[test]
fn credits_and_reports_take_no_memory() {
    let origin = origin();
    let call = origin.open(Encoded::default()).unwrap();
    for _ in 0..100_000 {
        receive(&origin, message(call, ToCaller::Credit(1))).unwrap();
    }
    for _ in 0..100_000 {
        receive(&origin, message(call, ToCaller::Progress(Progress::new(1)))).unwrap();
    }
}

/// A side that makes calls is told nothing by frames of one that makes them too.
#[test]
fn frames_of_the_wrong_side_or_before_the_hello_end_the_link() {
    let wrong = origin();
    let call = 0;
    let start = Frame::Start {
        call,
        message: Encoded::default(),
    };
    let refused = receive(&wrong, start).unwrap_err();
    assert!(matches!(refused, Violation::Unexpected(_)));
    let hello = Hello::of::<SimRequest>(MOST_BYTES);
    let settings = Settings {
        hello,
        limits: MOST_BYTES.into(),
    };
    let early = Origin::new(settings, Waker::noop().clone(), |_why| {});
    let refused = receive(&early, Frame::Started { call }).unwrap_err();
    assert!(matches!(refused, Violation::Unexpected(_)));
    assert!(early.is_lost() && early.open(Encoded::default()).is_none());
}

fn message(call: u64, message: ToCaller) -> Frame {
    Frame::ToCaller { call, message }
}
