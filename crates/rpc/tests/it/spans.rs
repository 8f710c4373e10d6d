//! Risk: a call is seen without what it belongs to, or a subscriber that panics takes a call along.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_rpc::{How, TraceContext};
use insula_sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::desk::{Desk, Worker, poll};
use crate::probe::Recorder;

/// Writes down all that it is told of spans.
#[derive(Clone, Default)]
struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    panics: bool,
}

impl Notes {
    fn note(&self, line: impl Into<String>) {
        self.lines.lock().push(line.into());
    }
}

impl Visit for Notes {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(format!("{field}={value:?}"));
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "insula::rpc"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        assert!(!self.panics, "the subscriber panics");
        self.note(attributes.metadata().name());
        attributes.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, _event: &Event<'_>) {}

    fn enter(&self, _span: &Id) {
        self.note("enter");
    }

    fn exit(&self, _span: &Id) {
        self.note("exit");
    }
}

#[test]
fn a_call_runs_in_a_span_that_names_it() {
    let (desk, worker) = (
        Desk::default(),
        Worker::new(&Recorder::default(), Duration::ZERO),
    );
    let notes = Notes::default();
    tracing::subscriber::with_default(notes.clone(), || {
        let trace = TraceContext::new(0xa, 0xb, true).unwrap();
        let mut call = desk.caller().fail(7).trace(trace).start();
        assert_eq!(worker.run(desk.take()).how, How::Failed);
        assert!(poll(&mut call).is_ready());
    });
    let lines = notes.lines.lock().clone();
    let expected = [
        "call",
        "contract=\"probe\"",
        "method=\"fail\"",
        "pool=\"desk\"",
        "worker=5",
        "incarnation=2",
        "trace_id=0000000000000000000000000000000a",
        "parent_span_id=000000000000000b",
        "enter",
        "exit",
        "outcome=Failed",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_subscriber_that_panics_fails_no_call() {
    let (desk, worker) = (
        Desk::default(),
        Worker::new(&Recorder::default(), Duration::ZERO),
    );
    let notes = Notes {
        panics: true,
        ..Notes::default()
    };
    tracing::subscriber::with_default(notes, || {
        let mut call = desk.caller().fail(7).start();
        assert_eq!(worker.run(desk.take()).how, How::Failed);
        assert!(poll(&mut call).is_ready());
    });
}
