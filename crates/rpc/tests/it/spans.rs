//! Risk: a call is seen without what it belongs to, or a subscriber that panics takes a call along.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use insula_core::{Isolate, Runtime, yield_now};
use insula_rpc::{Context, How, Respond as _, TraceContext, contract, serve};
use insula_sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

use crate::desk::{Desk, Worker, poll};
use crate::probe::Recorder;

/// Writes down all that it is told of spans.
#[derive(Clone, Default)]
struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<Mutex<Spans>>,
    /// The method that panics.
    panics_in: &'static str,
}

/// The spans, whose ids are their places, counted from one.
#[derive(Default)]
struct Spans {
    all: Vec<&'static Metadata<'static>>,
    entered: Vec<Id>,
}

impl Notes {
    fn note(&self, line: impl Into<String>) {
        self.lines.lock().push(line.into());
    }

    fn may_panic(&self, method: &str) {
        assert!(self.panics_in != method, "the subscriber panics");
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
        self.may_panic("new_span");
        self.note(attributes.metadata().name());
        if let Some(parent) = attributes.parent() {
            self.note(format!("parent={}", parent.into_u64()));
        }
        attributes.record(&mut self.clone());
        let mut spans = self.spans.lock();
        spans.all.push(attributes.metadata());
        Id::from_u64(spans.all.len() as u64)
    }

    fn current_span(&self) -> Current {
        self.may_panic("current_span");
        let spans = self.spans.lock();
        let Some(id) = spans.entered.last() else {
            return Current::none();
        };
        let metadata = spans.all[id.into_u64() as usize - 1];
        Current::new(id.clone(), metadata)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        self.may_panic("record");
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, span: &Id) {
        self.may_panic("enter");
        self.note("enter");
        self.spans.lock().entered.push(span.clone());
    }

    fn exit(&self, _span: &Id) {
        self.spans.lock().entered.pop();
        self.may_panic("exit");
        self.note("exit");
    }

    fn try_close(&self, _span: Id) -> bool {
        self.may_panic("try_close");
        true
    }
}

/// Runs something with a subscriber.
///
/// `tracing` caches for each callsite whether a subscriber wants it. It asks when the callsite is first
/// reached, and with a single subscriber it asks that of the thread which reaches it: another test's
/// thread has none. So the callsite is reached here first, and the cache is built again.
fn watched(notes: Notes, run: impl FnOnce()) {
    let (desk, worker) = (
        Desk::default(),
        Worker::new(&Recorder::default(), Duration::ZERO),
    );
    let lines = Arc::clone(&notes.lines);
    tracing::subscriber::with_default(notes, || {
        let _reached = desk.caller().fail(7).start();
        _ = worker.run(desk.take());
        tracing::callsite::rebuild_interest_cache();
        lines.lock().clear();
        run();
    });
}

#[test]
fn a_call_runs_in_a_span_that_names_it() {
    let (desk, worker) = (
        Desk::default(),
        Worker::new(&Recorder::default(), Duration::ZERO),
    );
    let notes = Notes::default();
    watched(notes.clone(), || {
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
fn a_subscriber_that_panics_fails_at_most_its_own_call() {
    let (desk, worker) = (
        Desk::default(),
        Worker::new(&Recorder::default(), Duration::ZERO),
    );
    let methods = [
        "new_span",
        "current_span",
        "enter",
        "exit",
        "record",
        "try_close",
    ];
    for panics_in in methods {
        let notes = Notes {
            panics_in,
            ..Notes::default()
        };
        watched(notes, || {
            let mut call = desk.caller().fail(7).start();
            // A call whose span cannot be entered has not run.
            let expected = match panics_in {
                "enter" => How::Panicked,
                _ => How::Failed,
            };
            assert_eq!(worker.run(desk.take()).how, expected, "{panics_in}");
            assert!(poll(&mut call).is_ready());
            // While a handler panics, the subscriber is told of the end of its span.
            let mut call = desk.caller().panic("a test".to_owned()).start();
            assert_eq!(worker.run(desk.take()).how, How::Panicked, "{panics_in}");
            assert!(poll(&mut call).is_ready());
        });
    }
}

#[test]
fn the_span_of_a_call_is_a_child_of_the_one_in_which_it_was_made() {
    let (desk, worker) = (
        Desk::default(),
        Worker::new(&Recorder::default(), Duration::ZERO),
    );
    let notes = Notes::default();
    watched(notes.clone(), || {
        let request = tracing::info_span!(target: "insula::rpc", "request");
        let id = request.id().map(|id| id.into_u64());
        let inside = request.in_scope(|| desk.caller().fail(7).start());
        let outside = desk.caller().fail(7).start();
        for _ in 0..2 {
            // In another span, which has nothing to do with either call.
            let other = tracing::info_span!(target: "insula::rpc", "worker");
            let _ended = other.in_scope(|| worker.run(desk.take()));
        }
        drop((inside, outside));
        let lines = notes.lines.lock().clone();
        let is_parent = |line: &&String| line.starts_with("parent=");
        let parents: Vec<_> = lines.iter().filter(is_parent).collect();
        assert_eq!(parents, [&format!("parent={}", id.unwrap_or_default())]);
    });
}

#[contract(crate = insula_rpc)]
trait Loud {
    /// Tells of its handler, of a task of that, of its stream, and of a task of that.
    async fn tell(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible>;
}

struct Teller;

fn tell(who: &str) {
    tracing::info!(target: "insula::rpc", who);
}

impl Loud for Teller {
    async fn tell(
        &self,
        cx: &Context,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible> {
        tell("handler");
        cx.spawn(async { tell("task of the handler") });
        let numbers = stream::iter(0..2).then(move |number| async move {
            if number == 0 {
                tell("stream");
                cx.spawn(async { tell("task of the stream") });
                yield_now().await;
            }
            Ok(number)
        });
        Ok(numbers)
    }
}

#[test]
fn all_that_is_part_of_a_call_runs_in_its_span() {
    let notes = Notes::default();
    watched(notes.clone(), || {
        // On this thread, which has the subscriber.
        let runtime = Runtime::builder().seeded(1).build();
        let spawning = Isolate::builder().runtime(&runtime);
        let port = spawning.spawn_with_port(|port| serve(port, LoudResponder::new(Teller)));
        let caller = LoudCaller::over(port);
        runtime.block_on(async {
            let items = caller.tell().await.unwrap();
            assert_eq!(items.count().await, 2);
        });
        runtime.shut_down();
    });
    let (mut depth, mut told) = (0, Vec::new());
    for line in notes.lines.lock().iter() {
        match line.as_str() {
            "enter" => depth += 1,
            "exit" => depth -= 1,
            line if line.starts_with("who=") => told.push((depth, line.to_owned())),
            _ => {}
        }
    }
    let all = [
        "handler",
        "task of the handler",
        "stream",
        "task of the stream",
    ];
    assert_eq!(told, all.map(|who| (1, format!("who={who:?}"))));
}
