//! The end of a link at which calls run, with any frames from the other side at any moment.
//!
//! Whatever comes: a handler runs once for each call at most, a call has one last message, no stream
//! is longer than its window allows, and nothing is left when the other side has gone.
#![no_main]

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use insula_core::{Isolate, ReceivePort, Runtime, SendPort, spawn_local};
use insula_fuzz::link::{any_frame, each_step, frame, play};
use insula_fuzz::samples::{limits, messages};
use insula_fuzz::service::{FuzzedRequest, FuzzedResponder, Service};
use insula_fuzz::{Script, Steps, plant};
use insula_link::Target;
use insula_rpc::wire::{Encoded, Frame, Hello, ToCallee, ToCaller};
use insula_rpc::{Respond as _, WINDOW, serve};
use insula_sync::Mutex;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| play(input, |runtime, script| Play::new(runtime).run(script))
);

struct Play<'a> {
    runtime: &'a Runtime,
    target: Arc<Target<FuzzedRequest>>,
    service: Service,
    /// The isolate with the service, and the one that moves frames.
    isolates: [Isolate; 2],
    frames: SendPort<Encoded>,
    /// What the other side has said of each call, and what came back.
    books: HashMap<u64, Book>,
    /// The handlers that were about to run, of each call.
    begun: Arc<Mutex<HashMap<u64, usize>>>,
}

#[derive(Default)]
struct Book {
    starts: usize,
    credits: u64,
    items: u64,
    last_messages: usize,
}

impl<'a> Play<'a> {
    fn new(runtime: &'a Runtime) -> Self {
        let service = Service::default();
        let served = service.clone();
        let builder = Isolate::builder().runtime(runtime);
        let (serving, port) = builder.spawn_pair(|port: ReceivePort<FuzzedRequest>| {
            serve(port, FuzzedResponder::new(served))
        });
        let begun = Arc::new(Mutex::new(HashMap::new()));
        let notes = Arc::clone(&begun);
        let on_start = move |call| *notes.lock().entry(call).or_default() += 1;
        let medium = Waker::noop().clone();
        let target = Arc::new(Target::new(Arc::new(port), limits(), medium, on_start));
        let taking = Arc::clone(&target);
        let builder = Isolate::builder().runtime(runtime);
        let (moving, frames) = builder.spawn_pair(|mut port: ReceivePort<Encoded>| async move {
            while let Some(frame) = port.recv().await {
                match taking.receive(frame) {
                    Ok(Some(serving)) => spawn_local(serving.run()),
                    Ok(None) => {}
                    Err(_violation) => return,
                }
            }
        });
        Self {
            runtime,
            target,
            service,
            isolates: [moving, serving],
            frames,
            books: HashMap::new(),
            begun,
        }
    }

    fn run(mut self, mut script: Script<'_>) {
        each_step(&mut script, |step, script| match step {
            0 => self.receive(frame(script)),
            1 => self.runtime.run_until_idle(),
            2 => self
                .runtime
                .advance(Duration::from_micros(script.short().into())),
            3 => self.look_at_outbox(),
            4 => self.receive(any_frame(script)),
            5 => {
                let running = usize::from(script.byte());
                self.target.has_overrun(|| running);
            }
            _ => {}
        });
        self.end();
    }

    fn receive(&mut self, frame: Encoded) {
        match Frame::read(frame.clone(), limits()) {
            Ok(Frame::Start { call, .. }) => self.book(call).starts += 1,
            Ok(Frame::ToCallee {
                call,
                message: ToCallee::Credit(more),
            }) => {
                let book = self.book(call);
                book.credits = book.credits.saturating_add(more);
            }
            _ => {}
        }
        // Nothing takes it after a violation.
        let _ = self.frames.send(frame);
    }

    fn book(&mut self, call: u64) -> &mut Book {
        self.books.entry(call).or_default()
    }

    fn look_at_outbox(&mut self) {
        while let Some(frame) = self.target.outbox().take() {
            let frame = Frame::read(frame, limits()).expect("the other side can read it");
            let Frame::ToCaller { call, message } = frame else {
                continue;
            };
            let book = self.book(call);
            let is_last = match &message {
                ToCaller::Item(_) => {
                    book.items += 1;
                    false
                }
                ToCaller::Refuse(_) | ToCaller::End(_) => true,
                _ => false,
            };
            book.last_messages += usize::from(is_last);
            assert!(book.last_messages <= book.starts, "a call ends twice");
            let window = (book.starts * WINDOW) as u64;
            assert!(
                book.items <= window.saturating_add(book.credits),
                "a stream is longer than its window"
            );
        }
    }

    /// The other side goes, after which nothing may be left.
    fn end(mut self) {
        self.runtime.run_until_idle();
        self.look_at_outbox();
        let [moving, serving] = &self.isolates;
        moving.kill();
        self.runtime.run_until_idle();
        // The time that a cancelled handler may go on.
        self.runtime.advance(Duration::from_secs(2));
        self.runtime.run_until_idle();
        assert_eq!(self.service.here(), 0, "a handler goes on");
        for (call, times) in &*self.begun.lock() {
            let starts = self.books.get(call).map_or(0, |it| it.starts);
            assert!(*times <= starts, "a handler runs twice");
        }
        serving.kill();
        self.runtime.run_until_idle();
        assert_eq!(self.runtime.isolate_count(), 0, "an isolate has not ended");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    const PING: u8 = 5;
    const GO_AWAY: u8 = 7;
    const SENT_ITEM: u8 = 16;
    const SENT_END: u8 = 17;
    const CONSUMED: u8 = 18;
    const STOP: u8 = 19;
    const CANCEL: u8 = 20;
    // A frame as a step.
    let frame = |steps: Steps, kind, call, body: &[u8]| steps.frame(0, kind, call, body);
    let hello = Frame::Hello(Hello::of::<FuzzedRequest>(1 << 12))
        .write()
        .bytes;
    let greeted = || Steps::new().step(&[4, 0]).bytes(&hello);
    let messages = messages();
    // A call with this message.
    let started = |steps: Steps, call, number: usize| {
        let message = messages[number].clone();
        let count = message.segments.len() as u8;
        let start = Frame::Start { call, message }.write();
        steps.step(&[4, count]).bytes(&start.bytes)
    };
    let mut seeds: Vec<_> = (0..messages.len())
        .map(|number| {
            started(greeted(), 0, number)
                .step(&[1, 3, 2, 100, 0, 1, 3])
                .end()
        })
        .collect();
    let streamed = started(greeted(), 0, 4).step(&[1, 3]);
    let streamed = frame(streamed, CONSUMED, 0, &[20]).step(&[1, 3]);
    seeds.push(streamed.end());
    let sums = |number| {
        let steps = started(greeted(), 0, number).step(&[1]);
        let steps = frame(steps, SENT_ITEM, 0, &[2, b'a', b'b']);
        let steps = frame(steps.step(&[1, 3]), SENT_ITEM, 0, &[0]);
        frame(steps, SENT_END, 0, &[0]).step(&[1, 3]).end()
    };
    seeds.extend([sums(5), sums(6)]);
    let several = started(started(greeted(), 0, 0), 1, 3).step(&[1]);
    let several = frame(frame(several, STOP, 0, &[2]), CANCEL, 1, &[1]).step(&[1, 5, 0, 3]);
    seeds.push(several.end());
    seeds.push(
        frame(frame(greeted(), PING, 3, &[]), GO_AWAY, 0, &[])
            .step(&[1, 3])
            .end(),
    );
    seeds
}
