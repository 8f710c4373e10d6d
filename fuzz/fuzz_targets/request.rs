//! The first message of a call, with segments beside it: `wire::accept`.
#![no_main]

use insula_fuzz::samples::{limits, messages, segments};
use insula_fuzz::service::FuzzedRequest;
use insula_fuzz::{plant, within};
use insula_memory::Segment;
use insula_rpc::wire::{Encoded, accept, accept_method};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static SEGMENTS: Vec<Segment> = segments();
}

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        let Some((&beside, bytes)) = input.split_first() else {
            return;
        };
        let segments = SEGMENTS.with(|it| it[..usize::from(beside) % 4].to_vec());
        let bytes = bytes.to_vec();
        let most = bytes.len() * 128 + 4_096;
        let message = Encoded { bytes, segments };
        let accepted = within(most, || accept::<FuzzedRequest>(&message, limits()));
        // What a head may say of the call is valid, whatever it is.
        drop(accepted.map(|it| it.info()));
        // The same bytes as the request of a method, whose id comes first.
        if let Some((id, request)) = message.bytes.split_first_chunk() {
            let id = u64::from_le_bytes(*id);
            let accept = || accept_method::<FuzzedRequest>(id, request, limits());
            drop(within(most, accept));
        }
    }
);

fn seeds() -> Vec<Vec<u8>> {
    let seed = |message: Encoded| {
        let mut seed = vec![message.segments.len() as u8];
        seed.extend(message.bytes);
        seed
    };
    messages().into_iter().map(seed).collect()
}
