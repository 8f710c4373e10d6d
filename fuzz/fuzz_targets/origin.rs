//! The end of a link at which calls are made, with any frames from the other side at any moment.
//!
//! Whatever comes: a violation loses the link, and each call has one outcome.
#![no_main]

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use futures_util::stream;
use insula_core::{Isolate, ReceivePort, Runtime};
use insula_fuzz::link::{any_frame, each_step, frame, play};
use insula_fuzz::samples::{limits, segments};
use insula_fuzz::service::{FuzzedCaller, FuzzedRequest, Tree};
use insula_fuzz::{Script, Steps, plant};
use insula_link::{Connection, Origin, Remote, Settings};
use insula_rpc::wire::{Encoded, Frame, Hello, Link as _, Lost};
use insula_rpc::{Respond as _, serve};
use insula_sync::atomic::{AtomicUsize, Ordering};
use libfuzzer_sys::fuzz_target;

/// The most calls of an input.
const MOST_CALLS: usize = 16;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| play(input, |runtime, script| Play::new(runtime).run(script))
);

struct Play<'a> {
    runtime: &'a Runtime,
    origin: Arc<Origin>,
    /// How often the link has ended.
    ends: Arc<AtomicUsize>,
    /// Workers that pass their calls on.
    lanes: Vec<(Isolate, FuzzedCaller)>,
    calls: Vec<Call>,
}

struct Call {
    isolate: Isolate,
    outcomes: Arc<AtomicUsize>,
    is_killed: bool,
}

impl<'a> Play<'a> {
    fn new(runtime: &'a Runtime) -> Self {
        let ends = Arc::new(AtomicUsize::new(0));
        let settings = Settings {
            hello: Hello::of::<FuzzedRequest>(limits().most_bytes()),
            limits: limits(),
        };
        let count = Arc::clone(&ends);
        let on_end = move |_why: &str| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let origin = Arc::new(Origin::new(settings, Waker::noop().clone(), on_end));
        let lane = |_| {
            let connection = Connection::new(Arc::clone(&origin), limits(), ());
            let builder = Isolate::builder().runtime(runtime);
            let (isolate, port) = builder.spawn_pair(|port: ReceivePort<FuzzedRequest>| {
                serve(port, Remote::<FuzzedRequest>::new(connection))
            });
            (isolate, FuzzedCaller::over(port))
        };
        Self {
            runtime,
            lanes: (0..2).map(lane).collect(),
            origin,
            ends,
            calls: Vec::new(),
        }
    }

    fn run(mut self, mut script: Script<'_>) {
        each_step(&mut script, |step, script| self.step(step, script));
        self.end();
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step {
            0 => self.call(script.byte(), script.byte()),
            1 => self.receive(frame(script)),
            2 => self.runtime.run_until_idle(),
            3 => self
                .runtime
                .advance(Duration::from_micros(script.short().into())),
            4 => {
                let number = usize::from(script.byte());
                if let Some(call) = self.calls.get_mut(number) {
                    call.isolate.kill();
                    call.is_killed = true;
                }
            }
            5 => drop(self.origin.ping()),
            6 => self.origin.go_away(),
            7 => self.origin.lose(Lost::Complete, "the script says so"),
            8 => self.origin.lose(Lost::Incomplete, "the script says so"),
            9 => {
                let number = u64::from(script.byte());
                self.origin.has_begun(|call| call == number);
            }
            10 => self.look_at_outbox(),
            11 => self.receive(any_frame(script)),
            _ => {}
        }
    }

    fn receive(&self, frame: Encoded) {
        let received = self.origin.receive(frame);
        assert!(
            received.is_ok() || self.origin.is_lost(),
            "a violation loses the link"
        );
    }

    fn look_at_outbox(&self) {
        while let Some(frame) = self.origin.outbox().take() {
            Frame::read(frame, limits()).expect("the other side can read it");
        }
    }

    fn call(&mut self, kind: u8, deadline: u8) {
        if self.calls.len() >= MOST_CALLS {
            return;
        }
        let (_, caller) = &self.lanes[usize::from(kind >> 7)];
        let caller = caller.clone();
        let deadline = match deadline {
            0 => Duration::MAX,
            some => Duration::from_micros(10 * u64::from(some)),
        };
        let outcomes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&outcomes);
        let make = move |()| async move {
            match kind & 7 {
                0 => drop(caller.echo(1, Tree::Leaf(1)).deadline(deadline).await),
                1 => drop(caller.weigh(segments()).deadline(deadline).await),
                2 => {
                    if let Ok(mut items) = caller.items(3, false).deadline(deadline).await {
                        while let Some(Ok(_)) = items.next().await {}
                    }
                }
                3 => {
                    let items = stream::iter((0..40).map(|it: u8| it.to_string()));
                    drop(caller.sum().deadline(deadline).send_all(items).await);
                }
                // An answer that nothing reads.
                4 => drop(caller.items(3, false).deadline(deadline).await),
                _ => {
                    let items = stream::iter((0..40).map(|it: u8| it.to_string()));
                    let answer = caller.lengths().deadline(deadline).send_all(items);
                    if let Ok(mut items) = answer.await {
                        while let Some(Ok(_)) = items.next().await {}
                    }
                }
            }
            count.fetch_add(1, Ordering::Relaxed);
        };
        self.calls.push(Call {
            isolate: Isolate::builder().runtime(self.runtime).spawn(make, ()),
            outcomes,
            is_killed: false,
        });
    }

    /// Loses the link and the workers, after which nothing may be left.
    fn end(self) {
        let Self {
            runtime,
            origin,
            ends,
            lanes,
            calls,
        } = self;
        runtime.run_until_idle();
        origin.lose(Lost::Incomplete, "the script has ended");
        runtime.run_until_idle();
        for (isolate, _) in &lanes {
            isolate.kill();
        }
        drop(lanes);
        runtime.run_until_idle();
        for call in &calls {
            let outcomes = call.outcomes.load(Ordering::Relaxed);
            assert!(outcomes <= 1, "a call has two outcomes");
            assert!(outcomes == 1 || call.is_killed, "a call has no outcome");
        }
        drop(calls);
        assert_eq!(runtime.isolate_count(), 0, "an isolate has not ended");
        assert_eq!(ends.load(Ordering::Relaxed), 1, "the end is told once");
        assert!(origin.outbox().is_empty(), "nothing is sent any more");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    const STARTED: u8 = 4;
    const REFUSE: u8 = 32;
    const PROGRESS: u8 = 33;
    const READ: u8 = 34;
    const CLOSED: u8 = 35;
    const ANSWER: u8 = 36;
    const ITEM: u8 = 38;
    const END: u8 = 39;
    // A frame as a step.
    let frame = |steps: Steps, kind, call, body: &[u8]| steps.frame(1, kind, call, body);
    let hello = Frame::Hello(Hello::of::<FuzzedRequest>(1 << 12))
        .write()
        .bytes;
    let greeted = || Steps::new().step(&[11, 0]).bytes(&hello);
    // A call of this kind that has gone out.
    let called = |kind| greeted().step(&[0, kind, 0, 2]);
    let started = |kind| frame(called(kind), STARTED, 0, &[]);
    let answered = frame(started(0), PROGRESS, 0, &[1, 0, 0]);
    let answered = frame(answered, ANSWER, 0, &[0, 0, 7]).step(&[2, 10]);
    let streamed = frame(started(2), ANSWER, 0, &[0]);
    let streamed = frame(frame(streamed, ITEM, 0, &[5]).step(&[2]), ITEM, 0, &[6]);
    let streamed = frame(streamed.step(&[2]), END, 0, &[0]).step(&[2, 10]);
    let sent = frame(started(3).step(&[2]), READ, 0, &[8]).step(&[2]);
    let sent = frame(frame(sent, CLOSED, 0, &[]), ANSWER, 0, &[0, 8]).step(&[2, 10]);
    let both = frame(started(5).step(&[2]), ANSWER, 0, &[0]).step(&[2]);
    let both = frame(frame(both, ITEM, 0, &[1]), READ, 0, &[1]).step(&[2]);
    let both = frame(both, END, 0, &[1, 0]).step(&[2]);
    let failed = frame(started(0), ANSWER, 0, &[1, 3, b'b', b'a', b'd']).step(&[2]);
    let rejected = frame(called(0), ANSWER, 0, &[2, 0, 0]).step(&[2]);
    let refused = frame(called(0), REFUSE, 0, &[2, 0, 0]).step(&[2]);
    vec![
        answered.end(),
        streamed.end(),
        sent.end(),
        both.end(),
        failed.end(),
        rejected.end(),
        refused.end(),
        started(0x81).step(&[0, 0, 3, 2, 3, 100, 0, 2, 7, 2]).end(),
        started(2).step(&[4, 0, 2, 5, 6, 10]).end(),
        started(4).step(&[9, 0, 8, 2]).end(),
        frame(greeted(), 6, 0, &[]).step(&[5, 10]).end(),
        frame(Steps::new().step(&[0, 0, 0, 2]), 2, 0, &[1, b'x']).end(),
    ]
}
