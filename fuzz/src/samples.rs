//! Valid messages, from which the first inputs are made.

use std::sync::Arc;
use std::time::Duration;

use insula_memory::{Segment, SegmentPool};
use insula_rpc::wire::{Encoded, Limits, forward};
use insula_rpc::{CallInfo, CancelledBy, Endpoint, Metadata, Share, Ticket, TraceContext};
use insula_sync::Mutex;

use crate::service::{FuzzedCaller, FuzzedRequest, Tree};

/// What a message of the targets may have at most: little, since inputs are short at first.
pub fn limits() -> Limits {
    Limits::bytes(1 << 9).segments(3, 1 << 14)
}

/// Returns three segments, of which the first one has a file of its own.
pub fn segments() -> Vec<Segment> {
    [1 << 13, 10, 1].map(segment).into()
}

fn segment(len: usize) -> Segment {
    let segment = SegmentPool::new(1 << 12).allocate(len);
    let segment = segment.expect("there is memory").freeze();
    segment.expect("nothing else refers to it")
}

/// Keeps the calls that are submitted.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<(FuzzedRequest, CallInfo)>>>);

impl Endpoint<FuzzedRequest> for Kept {
    fn submit(&self, call: FuzzedRequest, info: CallInfo) -> Ticket {
        self.0.lock().push((call, info));
        Ticket::NONE
    }

    fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}
}

impl Kept {
    /// Takes the first message of the call that was submitted last, which is not cancelled yet.
    fn message<K>(&self, _call: K) -> Encoded {
        let (call, info) = self.0.lock().pop().expect("a call was submitted");
        let mut forwarded = forward(call, info, limits()).expect("it waits");
        forwarded.take_message()
    }
}

/// Returns first messages of calls, of each method and with each thing that travels along.
pub fn messages() -> Vec<Encoded> {
    let kept = Kept::default();
    let caller = FuzzedCaller::over(kept.clone());
    let mut metadata = Metadata::new();
    metadata.insert("key", "value").expect("it is valid");
    metadata.insert_bytes("key-bin", [1]).expect("it is valid");
    let trace = TraceContext::new(1, 2, true).expect("it is valid");
    let tree = Tree::Node(vec![Tree::Leaf(1), Tree::Nothing]);
    let minute = Duration::from_secs(60);
    let tenant = Share::of("tenant").weighted(3);
    vec![
        kept.message(caller.echo(3, tree).metadata(metadata).start()),
        kept.message(caller.echo(0, Tree::Nothing).deadline(minute).start()),
        kept.message(caller.weigh(segments()).key("key").start()),
        kept.message(caller.items(3, true).share(tenant).start()),
        kept.message(caller.items(40, false).trace(trace).start()),
        kept.message(caller.sum().open()),
        kept.message(caller.lengths().open()),
    ]
}
